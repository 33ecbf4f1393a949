"""
Tokens and states on their way to readers, off the path that reads from Ollama.

The first piece of a job goes out at once, later ones in batches of BATCH_SECONDS.
While Redis is away events are dropped: nothing depends on them, the row tells how
a job ended.
"""

import logging
import threading
import time
from collections import deque
from typing import Any

import redis

from jobs.events import DONE, RESTART, STATUS, TOKEN, EventWriter
from jobs.states import Status

BATCH_SECONDS = 0.03
_PAUSE_SECONDS = 1.0
log = logging.getLogger(__name__)


class EventStream(threading.Thread):
    """One a child. Every method returns at once."""

    def __init__(self, writer: EventWriter) -> None:
        super().__init__(name="events", daemon=True)
        self._writer = writer
        self._pending: deque[tuple[str, str, dict[str, Any]]] = deque()
        self._changed = threading.Condition()
        self._is_urgent = False
        self._silent_until = 0.0

    def status(self, job_id: str, status: Status) -> None:
        self._add(job_id, STATUS, {"status": status}, urgent=True)

    def restart(self, job_id: str) -> None:
        """A new attempt begins: readers discard the text so far."""
        self._add(job_id, RESTART, {}, urgent=True)

    def token(self, job_id: str, text: str, thinking: str, *, urgent: bool) -> None:
        """A piece of the answer; neighbours are put together."""
        data = {"text": text, **({"thinking": thinking} if thinking else {})}
        with self._changed:
            if self._pending and self._pending[-1][:2] == (job_id, TOKEN):
                last = self._pending[-1][2]
                last["text"] += text
                if thinking:
                    last["thinking"] = last.get("thinking", "") + thinking
                return
        self._add(job_id, TOKEN, data, urgent=urgent)

    def done(self, job_id: str, status: Status) -> None:
        self._add(job_id, DONE, {"status": status}, urgent=True)

    def _add(self, job_id: str, event: str, data: dict[str, Any], *, urgent: bool) -> None:
        with self._changed:
            self._pending.append((job_id, event, data))
            self._is_urgent = self._is_urgent or urgent
            self._changed.notify()

    def run(self) -> None:
        while True:
            self._send(self._take())

    def _take(self) -> list[tuple[str, str, dict[str, Any]]]:
        with self._changed:
            self._changed.wait_for(lambda: self._pending)
            self._changed.wait_for(lambda: self._is_urgent, timeout=BATCH_SECONDS)
            taken = list(self._pending)
            self._pending.clear()
            self._is_urgent = False
            return taken

    def _send(self, events: list[tuple[str, str, dict[str, Any]]]) -> None:
        if time.monotonic() < self._silent_until:
            return
        try:
            for job_id, event, data in events:
                self._writer.add(job_id, event, data)
        except redis.RedisError as error:
            self._silent_until = time.monotonic() + _PAUSE_SECONDS
            log.warning("events are not written: %s", type(error).__name__)
