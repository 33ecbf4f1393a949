"""
Publishing a job: the message after the row.

A publication that fails is not an error: the row is committed, and the
reconciler publishes it again. Behind a breaker, because with Redis away each
try costs kombu 0.6 s, and a submit would wait for it.
"""

import logging
import threading
import time
from typing import Any

import redis
from celery import Celery
from kombu.exceptions import OperationalError

from jobs.instants import isoformat, utc_now
from jobs.records import Publication
from jobs.scheduling import current_level
from tasks.transport import SERVE_NEXT_HEADER

QUEUE_PREFIX = "ollama."
log = logging.getLogger(__name__)


def queue_name(model: str) -> str:
    """The queue of a (normalised) model."""
    return QUEUE_PREFIX + model


class Breaker:
    """Lets one try a second through while publishing fails."""

    def __init__(self, pause_seconds: float = 1.0) -> None:
        self._pause_seconds = pause_seconds
        self._lock = threading.Lock()
        self._closed_until = float("-inf")

    def allows(self) -> bool:
        with self._lock:
            now = time.monotonic()
            if now < self._closed_until:
                return False
            if self._closed_until > float("-inf"):
                self._closed_until = now + self._pause_seconds  # the others wait for this try
            return True

    def succeeded(self) -> None:
        self._closed_until = float("-inf")

    def failed(self) -> None:
        self._closed_until = time.monotonic() + self._pause_seconds


breaker = Breaker()


def publish(
    app: Celery, publication: Publication, *, ageing_seconds: float, serve_next: bool = False
) -> bool:
    """
    Send the message about a job.

    Args:
        serve_next: Put it where the next job is taken from, for one that goes back.

    Returns:
        Whether the broker has it. If not, the reconciler will see to it.
    """
    if not breaker.allows():
        return False
    try:
        _send(app, publication, ageing_seconds, serve_next)
    except (OperationalError, redis.RedisError, OSError) as error:
        breaker.failed()
        log.warning("job %s is not published yet: %s", publication.job_id, type(error).__name__)
        return False
    breaker.succeeded()
    return True


def _send(app: Celery, publication: Publication, ageing_seconds: float, serve_next: bool) -> None:
    level = current_level(publication.due_at, utc_now(), ageing_seconds)
    headers: dict[str, Any] = {
        "publication": publication.publication,
        "due_at": isoformat(publication.due_at),
        "level": level,
        "key_id": publication.key_id,
    }
    if serve_next:
        headers[SERVE_NEXT_HEADER] = True
    app.send_task(
        publication.task,
        task_id=publication.job_id,
        queue=queue_name(publication.model),
        priority=level,
        headers=headers,
        argsrepr=publication.model,
        kwargsrepr="",
        root_id=publication.job_id,
        add_to_parent=False,
        retry=False,
    )
