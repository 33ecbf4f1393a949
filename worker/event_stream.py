"""
Tokens and states on their way to readers.

The first piece of a job and its end go out at once, what lies between in batches
of BATCH_SECONDS by a thread, off the path that reads from Ollama. While Redis is
away events are dropped: nothing depends on them, the row tells how a job ended.
"""

import logging
import threading
import time
from collections import deque
from typing import Any, NamedTuple

import redis

from jobs.answers import LEAST_LOAD_SECONDS, Answers, answer_commands
from jobs.events import DONE, RESTART, STATUS, TOKEN, EventWriter
from jobs.states import Status

BATCH_SECONDS = 0.03
_PAUSE_SECONDS = 1.0
_TEXTS = {"text", "thinking", "raw"}
log = logging.getLogger(__name__)


class Lines(NamedTuple):
    """Lines to relay, and how many characters of lines came before: a reader notices what is missing."""

    raw: str
    at: int


class EventStream(threading.Thread):
    """One a child; the thread sends what nobody has sent within BATCH_SECONDS."""

    def __init__(self, writer: EventWriter, worker: str) -> None:
        super().__init__(name="events", daemon=True)
        self._writer = writer
        self._worker = worker
        self._answers = Answers()
        self._pending: deque[tuple[str, str, dict[str, Any]]] = deque()
        self._changed = threading.Condition()
        self._sending = threading.Lock()
        self._silent_until = 0.0

    def status(self, job_id: str, status: Status, **more: Any) -> None:
        """
        A job's state has changed.

        Args:
            more: What else has, so that nobody need read it.
        """
        self._add(job_id, STATUS, {"status": status, **more})

    def restart(self, job_id: str) -> None:
        """A new run begins: readers discard the text so far."""
        self._add(job_id, RESTART, {})

    def token(
        self, job_id: str, text: str, thinking: str, *, is_first: bool, lines: Lines | None = None
    ) -> None:
        """
        A piece of the answer; neighbours are put together.

        Args:
            is_first: Send it at once.
            lines: The same in its route's words, for a client that is relayed them.
        """
        thought = {"thinking": thinking} if thinking else {}
        self._add(job_id, TOKEN, {"text": text, **thought, **(lines._asdict() if lines else {})})
        if is_first:
            self.flush()

    def answered(self, model: str) -> None:
        """For the worker's parent, with the next events: Ollama holds this model now."""
        with self._changed:
            self._answers.answered_at[model] = time.time()

    def loaded(self, model: str, seconds: float | None) -> None:
        """For the worker's parent, with the next events: how long a load took; short ones were none."""
        if seconds is not None and seconds >= LEAST_LOAD_SECONDS:
            with self._changed:
                self._answers.load_seconds[model] = seconds

    def done(self, job_id: str, status: Status, **more: Any) -> None:
        """
        The job's end.

        Args:
            more: What a relayed client is still to be sent.
        """
        self._add(job_id, DONE, {"status": status, **more})
        self.flush()

    def flush(self) -> None:
        """Send what is pending, in its order."""
        with self._sending:
            with self._changed:
                events = list(self._pending)
                self._pending.clear()
                answers, self._answers = self._answers, Answers()
            self._send(events, answers)

    def run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._pending)
            time.sleep(BATCH_SECONDS)
            self.flush()

    def _add(self, job_id: str, event: str, data: dict[str, Any]) -> None:
        with self._changed:
            if event == TOKEN and self._pending and self._pending[-1][:2] == (job_id, TOKEN):
                last = self._pending[-1][2]
                for name in _TEXTS & data.keys():
                    last[name] = last.get(name, "") + data[name]
                return
            self._pending.append((job_id, event, data))
            self._changed.notify()

    def _send(self, events: list[tuple[str, str, dict[str, Any]]], answers: Answers) -> None:
        if time.monotonic() < self._silent_until:
            return
        try:
            self._writer.add_all(events, answer_commands(self._worker, answers))
        except redis.RedisError as error:
            self._silent_until = time.monotonic() + _PAUSE_SECONDS
            log.warning("events are not written: %s", type(error).__name__)
