"""Which models can be asked for, and which one is meant when none is named."""

import threading
import time
from typing import Any

import redis

from jobs.active_model import read_active
from jobs.breaker import Breaker
from jobs.database import Database
from jobs.errors import ModelNotInstalled, NoModel
from jobs.queries import known_models
from jobs.workers import InstalledModel, WorkerReport, choose_default, installed_models, live_workers

_FRESH_SECONDS = 1.0


class ModelCatalog:
    """
    The models of all workers, looked up at most once a second.

    Args:
        client: Redis, where workers report; while it is away the last report in the database counts.
        default_model: The configured default, normalised; None: one is chosen from what there is.
        breaker: Of all that would wait for this Redis; one of its own when not given.
    """

    def __init__(
        self,
        database: Database,
        client: Any,
        default_model: str | None,
        breaker: Breaker | None = None,
    ) -> None:
        self._database = database
        self._client = client
        self._default = default_model
        self._breaker = breaker or Breaker()
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._workers: list[WorkerReport] = []

    def workers(self) -> list[WorkerReport]:
        """The live workers; empty while Redis is away."""
        with self._lock:
            if time.monotonic() - self._read_at > _FRESH_SECONDS and self._breaker.allows():
                self._workers = self._read()
                # After a start everybody waits for the first one: nothing is an answer for now alone.
                self._read_at = time.monotonic() if self._workers else float("-inf")
            return self._workers

    def _read(self) -> list[WorkerReport]:
        try:
            found = live_workers(self._client)
        except redis.RedisError:
            self._breaker.failed()
            return []
        self._breaker.succeeded()
        return found

    def look_again(self) -> None:
        """What workers report now is read at the next use."""
        with self._lock:
            self._read_at = float("-inf")

    def models(self) -> list[InstalledModel]:
        """What the live workers have; without any, what was last known."""
        live = installed_models(self.workers())
        return sorted(live.values(), key=lambda model: model.name) or self._last_known()

    def resolve(self, name: str | None) -> str:
        """
        The model a job runs on: the one that is named, else the one that an operator
        activated, else the configured one, else a loaded or the smallest one.

        With no worker alive any model is accepted: the job waits for a worker that has it.

        Raises:
            ModelNotInstalled: live workers exist and none has it.
            NoModel: none was named, set, or ever seen.
        """
        # Read at every use: what an operator activates holds from the next submit on, in every process.
        chosen = name or self.active() or self._default
        if chosen is None:
            chosen = choose_default(self.models()) or choose_default(self._last_known())
            if chosen is None:
                raise NoModel
            return chosen
        self.require_installed(chosen)
        return chosen

    def active(self) -> str | None:
        """The model that an operator activated."""
        with self._database.reading() as session:
            return read_active(session)

    def require_installed(self, name: str) -> None:
        """
        Make sure that some worker can run a (normalised) model, as far as any is alive.

        Raises:
            ModelNotInstalled: none of them has it.
        """
        live = installed_models(self.workers())
        if live and name not in live:
            raise ModelNotInstalled(name, sorted(live))

    def _last_known(self) -> list[InstalledModel]:
        with self._database.reading() as session:
            return [
                InstalledModel(name=row.name, size_bytes=row.size_bytes or 0, can_complete=row.can_complete)
                for row in known_models(session)
            ]
