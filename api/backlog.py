"""How full the queue is: no more jobs are taken than an installation wants to keep waiting."""

import threading
import time

from flask import Flask, current_app

from jobs.database import Database
from jobs.errors import QueueFull
from jobs.queries import count_pending

FRESH_SECONDS = 5.0
FRESH_WHEN_FULL_SECONDS = 0.5
_EXTENSION = "paddock.backlog"


class Backlog:
    """
    Counts pending jobs now and then, and in between what this process has added.

    Between counts it only ever thinks the queue fuller than it is, as far as this
    process is concerned; others may overshoot by what they add in FRESH_SECONDS.
    """

    def __init__(self, database: Database, max_pending: int) -> None:
        self._database = database
        self._max = max_pending
        self._lock = threading.Lock()
        self._pending = 0
        self._counted_at = float("-inf")

    def admit(self, count: int = 1) -> None:
        """
        Make room for new jobs.

        Raises:
            QueueFull: there is none.
        """
        with self._lock:
            full = self._pending + count > self._max
            age_seconds = time.monotonic() - self._counted_at
            if age_seconds > (FRESH_WHEN_FULL_SECONDS if full else FRESH_SECONDS):
                with self._database.reading() as session:
                    self._pending = count_pending(session, at_most=self._max)
                self._counted_at = time.monotonic()
                full = self._pending + count > self._max
            if full:
                raise QueueFull(f"{self._max} jobs are pending already, as many as this installation allows.")
            self._pending += count


def init_backlog(app: Flask, database: Database, max_pending: int) -> None:
    app.extensions[_EXTENSION] = Backlog(database, max_pending)


def backlog() -> Backlog:
    """The app's count."""
    found: Backlog = current_app.extensions[_EXTENSION]
    return found
