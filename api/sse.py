"""
A job's events as `text/event-stream`.

    event: status    data: the job. The first thing sent, and whenever it starts or goes back
    event: token     data: {"text": …, "thinking"?: …}
    event: restart   data: {}. A new attempt: discard the text so far
    event: done      data: the job, complete. Then the stream ends

Ids are the stream's own; whoever comes back with the last one it saw gets what it missed.
"""

import json
import logging
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import redis
from sqlalchemy.exc import SQLAlchemyError

from api.errors import InvalidFields
from api.live import LiveEvents
from api.rendering import to_json
from api.schemas import JobAnswer
from api.subscription import MISSED, LiveEvent, Subscription
from api.waiting import POLL_SECONDS
from jobs.errors import JobNotFound
from jobs.events import DONE, STATUS, STREAM_PREFIX, TOKEN, entry_order
from jobs.queries import queue_seconds_of
from jobs.states import Status

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 15.0
KEEP_ALIVE = ": keep-alive\n\n"
BEGINNING = "0-0"
_PAGE = 500
_ENTRY_ID = re.compile(r"[0-9]{1,20}(-[0-9]{1,20})?")


def frame(event: str, data: str, entry_id: str | None = None) -> str:
    """One event; `data` is on one line."""
    name = f"id: {entry_id}\n" if entry_id else ""
    return f"{name}event: {event}\ndata: {data}\n\n"


def last_event_id(given: str | None) -> str:
    """
    Where a reader goes on.

    Raises:
        InvalidFields: not an id of ours.
    """
    if not given:
        return BEGINNING
    if not _ENTRY_ID.fullmatch(given) or max(entry_order(given)) >= 2**64:
        raise InvalidFields({"last_event_id": ["not the id of an event, such as 1700000000000-0"]})
    return given


def token_data(data: str) -> str:
    """A token's data without the lines for a relayed client; empty where nothing else is in it."""
    if '"raw"' not in data:
        return data
    token = json.loads(data)
    shown = {name: token[name] for name in ("text", "thinking") if token.get(name)}
    return json.dumps({"text": "", **shown}) if shown else ""


class JobStream:
    """
    One reader's stream of one job.

    Args:
        read_job: The job as it is now.
        is_complete: Whether it is, at less cost; also true for one that is gone.
        client: Redis, for the events that are kept.
        after: The last event's id that the reader has seen.
    """

    def __init__(
        self,
        job_id: str,
        *,
        live: LiveEvents,
        client: Any,
        read_job: Callable[[], JobAnswer],
        is_complete: Callable[[], bool],
        after: str = BEGINNING,
    ) -> None:
        self._job_id = job_id
        self._live = live
        self._client = client
        self._read_job = read_job
        self._is_complete = is_complete
        self._last = after
        self._order = entry_order(after)
        self._is_done = False

    def has_ended(self) -> bool:
        """Whether the reader has seen the end already."""
        if self._last == BEGINNING:
            return False
        try:
            newest = self._client.xrevrange(STREAM_PREFIX + self._job_id, count=1)
        except redis.RedisError:
            return False
        return any(
            entry["type"] == DONE and entry_order(entry_id) <= self._order for entry_id, entry in newest
        )

    def frames(self, job: JobAnswer, subscription: Subscription) -> Iterator[str]:
        """
        Everything from `after` to the end.

        Args:
            job: The job as it was found since `subscription` began: what it was not yet is still to come.
        """
        self._job = job
        try:
            # Together with what there is already, in one write.
            past = self._catch_up() if job.is_complete else self._kept()
            yield frame(STATUS, to_json(job)) + next(past, "")
            yield from past
            while not self._is_done and not job.is_complete:
                yield from self._next(subscription)
        except (SQLAlchemyError, JobNotFound) as error:
            # Too late for a problem: the stream ends, and its reader comes back with its last id.
            log.warning("events of job %s end early: %s", self._job_id, type(error).__name__)

    def _next(self, subscription: Subscription) -> Iterator[str]:
        """Wait for events, and pass on all that are there in one write."""
        event = subscription.get(HEARTBEAT_SECONDS if self._live.is_connected else POLL_SECONDS)
        if event is None:
            yield KEEP_ALIVE
            yield from self._catch_up(kept=False)
        frames = []
        while event is not None and event is not MISSED:
            frames.append(self._pass_on(event))
            event = subscription.get(0)
        if any(frames):
            yield "".join(frames)
        if event is MISSED:
            yield from self._catch_up()

    def _catch_up(self, *, kept: bool = True) -> Iterator[str]:
        """What Redis kept since the last event sent; and the end, if the row says that it is over."""
        if kept:
            yield from self._kept()
        if self._is_done:
            return
        if not self._is_complete():
            return
        job = self._read_job()
        yield from self._kept()  # what came while the row was read
        if job.is_complete and not self._is_done:
            self._is_done = True
            yield frame(DONE, to_json(job))

    def _kept(self) -> Iterator[str]:
        """The events since the last one sent, as far as Redis has them."""
        key = STREAM_PREFIX + self._job_id
        entries: list[Any] = [None] * _PAGE
        while len(entries) == _PAGE and not self._is_done:
            try:
                entries = self._client.xrange(key, min=f"({self._last}", count=_PAGE)
            except redis.RedisError as error:
                log.info("events of job %s: Redis is away (%s)", self._job_id, type(error).__name__)
                return
            events = (LiveEvent(entry_id, entry["type"], entry["data"]) for entry_id, entry in entries)
            if text := "".join(self._pass_on(event, is_past=True) for event in events):
                yield text

    def _pass_on(self, event: LiveEvent, *, is_past: bool = False) -> str:
        """An event as text; empty for one that was sent already, or comes after the end."""
        order = entry_order(event.id)
        if self._is_done or order <= self._order:
            return ""
        self._last, self._order = event.id, order
        if event.type == TOKEN:
            data = token_data(event.data)
            return frame(TOKEN, data, event.id) if data else ""
        if event.type not in (STATUS, DONE):
            return frame(event.type, event.data, event.id)
        if event.type == STATUS and is_past:
            return ""  # it has been overtaken
        job = self._begun(event) or self._read_job()
        self._is_done = event.type == DONE and job.is_complete
        return frame(DONE if self._is_done else STATUS, to_json(job), event.id)

    def _begun(self, event: LiveEvent) -> JobAnswer | None:
        """The job that this event says has begun, as its row is now; None where only the row knows."""
        data = json.loads(event.data)
        if "started_at" not in data or self._job.status != Status.PENDING:
            return None
        started_at = datetime.fromisoformat(data["started_at"])
        self._job = self._job.model_copy(
            update={
                "status": Status.PROCESSING,
                "worker": data["worker"],
                "priority": data["priority"],
                "started_at": started_at,
                "queue_seconds": queue_seconds_of(self._job.created_at, started_at),
                "queue_position": None,
                "estimated_wait_seconds": None,
            }
        )
        return self._job
