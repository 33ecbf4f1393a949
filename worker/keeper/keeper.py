"""What the services of a keeper share."""

from dataclasses import dataclass

import redis
from celery import Celery

from jobs.events import EventWriter
from jobs.records import Publication
from jobs.round_trips import by_client
from jobs.service import JobService
from settings import Settings
from tasks.publishing import publish


@dataclass(frozen=True)
class Keeper:
    """One keeper: the worker that it stands beside, and its ways to the rest."""

    worker: str
    settings: Settings
    app: Celery
    service: JobService
    redis: redis.Redis
    events: EventWriter

    def publish(self, publications: list[Publication], *, serve_next: bool) -> None:
        """
        Publish jobs so that they are served in the order of their due times.

        Args:
            serve_next: They go back to where they have waited already. Put there one by
                one, the last is served first, so the most urgent goes last.
        """
        ordered = sorted(publications, key=lambda publication: publication.due_at, reverse=serve_next)
        publish(
            by_client(self.redis),
            ordered,
            ageing_seconds=self.settings.ageing_seconds,
            serve_next=serve_next,
        )
