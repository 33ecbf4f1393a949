"""
Ending a worker without losing a job: warm shutdown first, then DRAIN_SECONDS later the rest is handed back.

Celery's warm shutdown waits for running tasks as long as they take. When the time
is up the parent sends its children DRAIN_SIGNAL; each stops its generation and
returns its job to the queue, at no cost of an attempt.
"""

import atexit
import os
import signal
from contextlib import suppress
from typing import Any

from billiard import pool as billiard_pool
from celery import bootsteps
from celery.signals import worker_shutting_down

from settings import get_settings
from worker.child import this_child

DRAIN_SIGNAL = signal.SIGUSR1
READ_SECONDS = 0.5


class DrainStep(bootsteps.StartStopStep):
    """In the parent: arms the timer at the first shutdown signal."""

    requires = {"celery.worker.components:Pool"}

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        # A child that ends waits for its parent to have read its results, for up to 30 s. A parent that
        # shuts down does not read those of jobs whose start it had not heard of yet. Nothing depends
        # on it: the row has the result. Children know by being forked after this.
        interval = billiard_pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_INTERVAL
        billiard_pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT = round(READ_SECONDS / interval)

    def start(self, parent: Any) -> None:
        self._worker = parent
        self._armed = False
        worker_shutting_down.connect(self._arm, weak=False)

    def _arm(self, how: str = "", **_: Any) -> None:
        if self._armed:  # a second signal must not start the time anew
            return
        self._armed = True
        signal.signal(signal.SIGALRM, self._drain)
        # Past the interpreter's end nobody handles the signal, and it would end the process instead.
        atexit.register(signal.setitimer, signal.ITIMER_REAL, 0.0)
        seconds = get_settings().drain_seconds if how == "Warm" else 0.0
        signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001), 1.0)

    def _drain(self, *_: Any) -> None:
        """Once a second from then on: a child may just have been between two jobs."""
        for process in list(self._worker.pool._pool._pool):
            with suppress(ProcessLookupError):
                os.kill(process.pid, DRAIN_SIGNAL)


def listen_for_drain() -> None:
    """In a child, in the task's body: billiard takes this signal for itself when a child starts."""
    signal.signal(DRAIN_SIGNAL, _on_drain)


def _on_drain(*_: Any) -> None:
    # Its job is handed back: a parent that ends has nothing to learn from the result.
    billiard_pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT = 0
    this_child().lease.drain()
