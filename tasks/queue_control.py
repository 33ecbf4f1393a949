"""What an operator does to a model's whole queue: pause it, resume it, clear it."""

import json
import logging
from typing import Any

import redis
import uuid_utils

from jobs.clearing import clear_pending, still_published
from jobs.events import DONE
from jobs.pauses import pause_queue, resume_queue, tell_workers
from jobs.states import Status
from tasks.queue_lists import list_names, queue_name
from tasks.resources import get_resources

CHUNK = 1000
log = logging.getLogger(__name__)


def pause(model: str) -> None:
    """Start no further job of a (normalised) model; what runs goes on, and new jobs are accepted."""
    pause_queue(get_resources().database, model)
    _tell()


def resume(model: str) -> None:
    """Start its jobs again."""
    resume_queue(get_resources().database, model)
    _tell()


def _tell() -> None:
    resources = get_resources()
    try:
        tell_workers(resources.database, resources.redis)
    except redis.RedisError as error:
        log.warning("workers learn later which queues are paused: %s", type(error).__name__)


def clear(model: str) -> int:
    """
    Cancel all jobs of a (normalised) model that are pending now; those that run go on.

    In batches, so that submits and claims get in between.

    Returns:
        How many.
    """
    resources = get_resources()
    cleared = 0
    for job_ids in clear_pending(resources.service, model):
        cleared += len(job_ids)
        try:
            listening = resources.events.with_readers(job_ids)
            resources.events.add_all((job_id, DONE, {"status": Status.CANCELLED}) for job_id in listening)
        except redis.RedisError as error:
            log.warning("a queue is cleared, its readers are not told: %s", type(error).__name__)
    try:
        drop_void_messages(model)
    except redis.RedisError as error:
        log.warning("messages of a cleared queue stay, void: %s", type(error).__name__)
    return cleared


def drop_void_messages(model: str) -> None:
    """
    Take the messages of jobs that are no longer pending out of a model's lists.

    They would do no harm, but each would cost a worker a look at its job. A message that
    is lost on the way, should this process die, is published again by the reconciler.
    """
    client = get_resources().redis
    for name in list_names(queue_name(model)):
        aside = f"paddock:clearing:{uuid_utils.uuid4()}"
        try:
            client.rename(name, aside)
        except redis.ResponseError:  # there is no such list: nothing waits at this level
            continue
        while messages := _pop(client, aside):
            current = _current(messages)
            if current:
                client.rpush(name, *current)  # ahead of what has come since


def _pop(client: Any, name: str) -> list[str]:
    """The newest messages of a list, the newest first."""
    messages: list[str] = client.lpop(name, CHUNK) or []
    return messages


def _current(messages: list[str]) -> list[str]:
    """Those that still stand for a pending job."""
    named = [_job_of(message) for message in messages]
    with get_resources().database.reading() as session:
        current = still_published(session, [job_id for job_id, _ in named])
    return [message for message, job in zip(messages, named, strict=True) if job in current]


def _job_of(message: str) -> tuple[str, int]:
    headers = json.loads(message)["headers"]
    return headers["id"], headers["publication"]
