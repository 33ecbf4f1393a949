"""The queue that users test with, and the same one with a Redis in place of its line and its events."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import kombu
import pytest

import celeryconfig
from jobs.events import Event, EventWriter, read_events
from jobs.records import Publication
from jobs.round_trips import by_client
from setting_values import kombu_redis_url
from tasks import publishing
from tasks.ageing import lift_due
from tasks.publishing import publish
from tasks.queue_lists import list_names, queue_name
from tasks.resources import get_resources
from tasks.testing import TaskQueue, memory_queue, read_publication

MODELS = ("alpha", "beta")
Take = Callable[[str], Publication | None]


class RedisLine:
    """
    A line in Redis, as publishing writes it and a worker reads it.

    Args:
        take: Takes a queue's next message.
    """

    def __init__(self, client: Any, take: Take) -> None:
        self.client = client
        self._take = take

    def publish(self, publication: Publication, *, serve_next: bool = False) -> None:
        assert publish(by_client(self.client), [publication], ageing_seconds=30.0, serve_next=serve_next)

    def take(self) -> Publication | None:
        found = (self._take(queue_name(model)) for model in MODELS)
        return next((publication for publication in found if publication), None)


class RedisEvents(EventWriter):
    """Events in Redis Streams."""

    def read(self, job_id: str, *, after: str = "0-0") -> list[Event]:
        return list(read_events(self._client, job_id, after=after))


def from_lists(client: Any) -> Take:
    """Takes from a queue's lists in kombu's order."""

    def take(queue: str) -> Publication | None:
        texts = (client.rpop(name) for name in list_names(queue))
        return next((read_publication(text) for text in texts if text), None)

    return take


@contextmanager
def by_kombu(url: str) -> Iterator[Take]:
    """Takes by kombu's own transport, set up as in a worker."""
    options = celeryconfig.broker_transport_options
    with kombu.Connection(kombu_redis_url(url), transport_options=options) as connection:
        channel = connection.default_channel

        def take(queue: str) -> Publication | None:
            message = channel.basic_get(queue, no_ack=True)
            if message is None:
                return None
            text = json.dumps({"headers": message.headers, "properties": message.properties})
            return read_publication(text)

        yield take


class QueueKind:
    """A queue of one kind, with what its tests ask besides."""

    def __init__(self, queue: TaskQueue, client: Any) -> None:
        self.queue = queue
        self.client = client  # None: in memory

    def age(self, seconds: float) -> None:
        """Let time pass, and the keeper look once a second's part after it."""
        self.queue.advance(seconds)
        if self.client is not None:
            lift_due(self.client, MODELS, ageing_seconds=30.0, now=self.queue.database.now())

    def publish(self, publications: Sequence[Publication], *, serve_next: bool = False) -> None:
        """As whoever publishes does."""
        send = get_resources().round_trip
        assert publishing.publish(send, publications, ageing_seconds=30.0, serve_next=serve_next)


@contextmanager
def queue_kind(client: Any = None, take: Take | None = None) -> Iterator[QueueKind]:
    """A queue in memory, or on this client's Redis with a worker that takes as this says."""
    with memory_queue(default_model=MODELS[0]) as queue, pytest.MonkeyPatch.context() as patched:
        patched.setattr(publishing, "utc_now", queue.database.now)  # levels by the queue's clock
        if take is not None:
            queue.line = RedisLine(client, take)
            queue.events = RedisEvents(client)
            get_resources().__dict__.update(redis=client, round_trip=by_client(client), events=queue.events)
        yield QueueKind(queue, client)
