"""
A job's answer to the client that waits for it, in the words of its own route.

Nothing is sent before Ollama has begun to answer, so that its errors keep their
status; unless that takes longer than KEEP_ALIVE_SECONDS, where the format has
something to send that means nothing. What comes afterwards is an error line.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import redis

from api.answers import Ended, as_stream, end_of
from api.live import LiveEvents
from api.subscription import GONE, MISSED, LiveEvent, Subscription
from jobs.events import DONE, RESTART, STATUS, STREAM_PREFIX, TOKEN, entry_order
from jobs.states import Status
from jobs.wire import Dialect, WireRoute, error_body

KEEP_ALIVE_SECONDS = 15.0
RECHECK_SECONDS = 5.0  # how often the row is looked at while events are silent
POLL_SECONDS = 0.5  # and while Redis is away
# White space before a line's object, and a comment: every reader skips them. A blank line is no
# such thing, Ollama's own clients stumble over it.
KEEP_ALIVES: dict[Dialect, str] = {"ollama": " ", "openai": ": keep-alive\n\n"}
LOST = "A part of the answer was lost on its way; the job has it: see X-Job-ID."
BEGUN_ANEW = "The generation was interrupted and can't be taken up again."
_PAGE = 100


class ClientGone(Exception):
    """The client has closed its connection."""


@dataclass(frozen=True)
class Lines:
    """Whole lines for the client."""

    text: str


class Relay:
    """
    One client and its job.

    Args:
        read_end: How the job has ended, from its row; None while it has not.
        client: Redis, for the events that were missed.
    """

    def __init__(
        self,
        job_id: str,
        route: WireRoute,
        subscription: Subscription,
        *,
        live: LiveEvents,
        client: Any,
        read_end: Callable[[], Ended | None],
    ) -> None:
        self.is_over = False
        self._job_id = job_id
        self._route = route
        self._subscription = subscription
        self._live = live
        self._client = client
        self._read_end = read_end
        self._order = (0, 0)
        self._last = "0-0"
        self._position = 0
        self._ready: list[Lines | Ended] = []

    def end(self) -> Ended:
        """
        Wait for the job's end, of which nothing was sent.

        Raises:
            ClientGone: it need not be waited for.
        """
        while True:
            found = self._next(RECHECK_SECONDS)
            if isinstance(found, Ended):
                self.is_over = True
                return found

    def first(self) -> Lines | Ended | None:
        """
        Wait for what the answer begins with; None: nothing came for KEEP_ALIVE_SECONDS.

        Raises:
            ClientGone: it need not be waited for.
        """
        ends_at = time.monotonic() + KEEP_ALIVE_SECONDS
        while (left := ends_at - time.monotonic()) > 0:
            found = self._next(min(left, RECHECK_SECONDS))
            if found is not None:
                return found
        return None

    def stream(self, found: Lines | Ended | None) -> Iterator[str]:
        """Everything from what `first` has found to the end."""
        while True:
            if found is None:
                yield KEEP_ALIVES[self._route.dialect]
            elif isinstance(found, Lines):
                # One write a line: there are clients that take each for one chunk of the answer.
                yield from self._split(found.text)
            else:
                yield from self._split(as_stream(found, self._route))
                self.is_over = True
                return
            found = self.first()

    def _split(self, text: str) -> list[str]:
        end = "\n" if self._route.dialect == "ollama" else "\n\n"
        lines = [line + end for line in text.split(end)]
        rest = lines.pop().removesuffix(end)
        return [*lines, rest] if rest else lines

    def _next(self, seconds: float) -> Lines | Ended | None:
        """What comes next within this time."""
        if not self._ready:
            event = self._subscription.get(seconds if self._live.is_connected else POLL_SECONDS)
            if event is GONE:
                raise ClientGone
            if event is None:
                return self._from_row()
            if event is MISSED:
                self._catch_up()
            else:
                self._take(event)
        return self._ready.pop(0) if self._ready else None

    def _from_row(self) -> Ended | None:
        """The end, should nobody have told of it; what came with it may be in the stream all the same."""
        ended = self._read_end()
        if ended is None:
            return None
        self._catch_up()
        if not self._ready:
            self._ready.append(ended if self._position == 0 else self._broken(LOST))
        return None

    def _catch_up(self) -> None:
        """Up to a page of the events that Redis has kept; with more, the next silence goes on."""
        try:
            entries = self._client.xrange(STREAM_PREFIX + self._job_id, min=f"({self._last}", count=_PAGE)
        except redis.RedisError:
            return
        for entry_id, entry in entries:
            self._take(LiveEvent(entry_id, entry["type"], entry["data"]))
        if len(entries) == _PAGE:
            self._subscription.miss()

    def _take(self, event: LiveEvent) -> None:
        order = entry_order(event.id)
        if order <= self._order:
            return
        self._last, self._order = event.id, order
        if event.type == TOKEN:
            self._take_lines(json.loads(event.data))
        elif event.type == DONE:
            self._take_end(json.loads(event.data))
        elif self._position > 0 and (event.type == RESTART or _is_pending(event)):
            self._ready.append(self._broken(BEGUN_ANEW))

    def _take_lines(self, data: dict[str, Any]) -> None:
        raw = data.get("raw")
        if not raw:
            return
        if data["at"] != self._position:
            self._ready.append(self._broken(LOST))
            return
        self._position += len(raw)
        self._ready.append(Lines(raw))

    def _take_end(self, data: dict[str, Any]) -> None:
        status = Status(data["status"])
        if status is Status.COMPLETED and data.get("at", -1) == self._position and "raw" in data:
            self._ready.append(Ended(status, raw=data["raw"], is_one_object=data["is_one_object"]))
            return
        if "whole" in data:
            self._ready.append(Ended(status, raw=data["whole"]))
            return
        if "error" in data:
            self._ready.append(end_of(status, data["error"], has_begun=self._position > 0))
            return
        ended = self._read_end()
        if ended is not None:
            is_broken = self._position > 0 and ended.status is Status.COMPLETED
            self._ready.append(self._broken(LOST) if is_broken else ended)

    def _broken(self, message: str) -> Ended:
        return Ended(Status.FAILED, 500, error_body(self._route.dialect, 500, message))


def _is_pending(event: LiveEvent) -> bool:
    return event.type == STATUS and json.loads(event.data).get("status") == Status.PENDING
