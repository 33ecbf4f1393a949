"""Stopping a call from another thread, or from a signal handler."""

import threading
from typing import Protocol


class Abortable(Protocol):
    """Something under way that can be stopped."""

    def abort(self) -> None:
        """Stop; callable from any thread."""


class Cancellation:
    """
    Hand one to a call, and `cancel()` it from anywhere, before, during or after.

    During: the call raises `Aborted` within milliseconds and its connection closes,
    which makes Ollama stop. Before: the call raises `Aborted` as it starts. After:
    nothing, the connection that served it is left alone. It stays cancelled for good:
    make a new one for each unit of work.

    A lock that its own thread may take again, so that a signal handler can call `cancel()`
    whatever it interrupts.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._cancelled = False
        self._calls: set[Abortable] = set()

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` has been called."""
        return self._cancelled

    def cancel(self) -> None:
        """Stop the calls that were given this object, now and in future."""
        with self._lock:
            self._cancelled = True
            calls = tuple(self._calls)
        for call in calls:
            call.abort()

    def watch(self, call: Abortable) -> None:
        """Take part in this call from now on; one that comes too late is stopped at once."""
        # Added first, looked at second: a cancel() in between is seen by one or the other.
        with self._lock:
            self._calls.add(call)
            cancelled = self._cancelled
        if cancelled:
            call.abort()

    def forget(self, call: Abortable) -> None:
        """The call is over."""
        with self._lock:
            self._calls.discard(call)
