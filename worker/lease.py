"""
The lease of the job that this child runs, kept by a thread of its own.

Every second it renews. A renewal that changes no row means that the run is no
longer the job's (cancelled, or taken back), and stops it. A message on the
cancelled channel only makes the thread look at once; with Redis away it still
finds out within a second.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
from sqlalchemy.exc import SQLAlchemyError

from jobs.events import CANCELLED_CHANNEL
from jobs.records import Claimed
from jobs.service import JobService
from ollama_client.cancellation import Cancellation

RENEW_SECONDS = 1.0
log = logging.getLogger(__name__)


class Run:
    """One claimed job on its way; `cancellation` stops its call to Ollama."""

    def __init__(self, claimed: Claimed, *, overlaps: bool = False) -> None:
        self.claimed = claimed
        self.overlaps = overlaps  # sent before a slot was free
        self.cancellation = Cancellation()
        self.lost = False
        self.drained = False
        self.first_token_seconds: float | None = None
        self._began = time.monotonic()

    def answered(self) -> bool:
        """A piece of the answer has come; whether it is the first."""
        is_first = self.first_token_seconds is None
        if is_first:
            self.first_token_seconds = time.monotonic() - self._began
        return is_first

    def lose(self) -> None:
        """The job is no longer ours: whatever comes out of it is void."""
        self.lost = True
        self.cancellation.cancel()

    def drain(self) -> None:
        """The worker ends: stop, and hand the job back."""
        self.drained = True
        self.cancellation.cancel()


class LeaseThread(threading.Thread):
    """Renews the current run's lease; one a child, started before its first job."""

    def __init__(self, service: JobService, client: redis.Redis) -> None:
        super().__init__(name="lease", daemon=True)
        self._service = service
        self._client = client
        self._pubsub: Any = None
        self._current: Run | None = None
        self._parent = os.getppid()
        self.is_draining = False

    @contextmanager
    def hold(self, claimed: Claimed, *, overlaps: bool = False) -> Iterator[Run]:
        """Renew until the block is left."""
        run = Run(claimed, overlaps=overlaps)
        self._current = run
        if self.is_draining:
            run.drain()
        try:
            yield run
        finally:
            self._current = None

    def drain(self) -> None:
        """Stop the current run and those to come; called by a signal handler."""
        self.is_draining = True
        run = self._current
        if run is not None:
            run.drain()

    def run(self) -> None:
        renew_at = time.monotonic() + RENEW_SECONDS
        while True:
            told = self._listen(max(0.0, renew_at - time.monotonic()))
            run = self._current
            if time.monotonic() >= renew_at:
                renew_at = time.monotonic() + RENEW_SECONDS
                self._end_with_parent()
                self.renew(run)
            elif run is not None and told == run.claimed.job_id:
                self.renew(run)

    def renew(self, run: Run | None) -> None:
        """Extend the lease, or learn that it is gone. An unreachable database says neither."""
        if run is None:
            return
        try:
            kept = self._service.renew(run.claimed.job_id, run.claimed.claim)
        except SQLAlchemyError as error:
            log.warning("job %s: lease not renewed (%s)", run.claimed.job_id, type(error).__name__)
            return
        if not kept and self._current is run:
            run.lose()

    def _listen(self, seconds: float) -> str | None:
        """Wait for the id of a cancelled job, at most this long."""
        try:
            if self._pubsub is None:
                self._pubsub = self._client.pubsub(ignore_subscribe_messages=True)
                self._pubsub.subscribe(CANCELLED_CHANNEL)
            message = self._pubsub.get_message(timeout=seconds)
            return str(message["data"]) if message else None
        except (redis.RedisError, OSError):
            self._pubsub = None
            time.sleep(seconds)
            return None

    def _end_with_parent(self) -> None:
        """Where the kernel does not end children with their parent, do it here; the lease covers the job."""
        if os.getppid() != self._parent:
            os.kill(os.getpid(), signal.SIGKILL)
