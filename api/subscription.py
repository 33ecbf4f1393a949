"""What one reader of a job's live events has not read yet."""

import queue
from typing import Any, NamedTuple

MAX_WAITING = 1000  # events that a reader may be behind
MAX_WAITING_CHARS = 1_000_000  # and what they may hold


class LiveEvent(NamedTuple):
    """One event; `data` is JSON text on one line."""

    id: str
    type: str
    data: str


MISSED = LiveEvent("", "missed", "")
GONE = LiveEvent("", "gone", "")


class Subscription:
    """
    What one reader has not read yet.

    Args:
        only: Types of interest; None: all.
    """

    def __init__(self, only: frozenset[str] | None) -> None:
        self._only = only
        self._events: Any = queue.SimpleQueue()
        self._missed = False
        self._offered_chars = self._taken_chars = 0  # each is counted by one side alone

    def offer(self, event: LiveEvent) -> None:
        """Called by the connection's reader; never blocks."""
        if self._only is not None and event.type not in self._only:
            return
        is_behind = self._offered_chars - self._taken_chars > MAX_WAITING_CHARS
        if is_behind or self._events.qsize() >= MAX_WAITING:
            self.miss()
        elif not self._missed:
            self._offered_chars += len(event.data)
            self._events.put(event)

    def miss(self) -> None:
        """Something may be lost from here on, until the reader has seen MISSED."""
        if not self._missed:
            self._missed = True
            self._events.put(MISSED)

    def leave(self) -> None:
        """The reader itself has gone: it finds GONE."""
        self._events.put(GONE)

    def get(self, timeout_seconds: float) -> LiveEvent | None:
        """The next event, or MISSED; None after the time-out."""
        try:
            if timeout_seconds > 0:
                event: LiveEvent = self._events.get(timeout=timeout_seconds)
            else:
                event = self._events.get_nowait()
        except queue.Empty:
            return None
        if event is MISSED:
            self._missed = False
        self._taken_chars += len(event.data)
        return event
