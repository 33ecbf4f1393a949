"""Watches the worker's Ollama, and reports what it has: to Redis for everybody, to the database for later."""

import socket
import time
from dataclasses import dataclass, field

import redis
from sqlalchemy.exc import SQLAlchemyError

from jobs.instants import utc_now
from jobs.inventories import Inventory, publish_inventory
from jobs.models import Model
from jobs.workers import InstalledModel, WorkerReport, forget_stale, report_worker
from ollama_client.errors import OllamaError
from ollama_client.limits import Limits
from ollama_client.transport import OllamaTransport
from tasks.installed import models_in, take_inventory
from worker.keeper.keeper import Keeper

INVENTORY_SECONDS = 10.0
SIMULATED_VERSION_MARK = "simulated"
_LIMITS = Limits(connect_seconds=1.0, first_token_seconds=2.0, between_tokens_seconds=2.0, total_seconds=3.0)


@dataclass
class Registry:
    """What is known of one Ollama; its last models are kept while it is away."""

    keeper: Keeper
    transport: OllamaTransport = field(init=False)
    models: list[InstalledModel] = field(default_factory=list)
    inventory: Inventory = field(default_factory=Inventory)
    version: str | None = None
    _since: float = field(default_factory=time.time)
    _told: Inventory | None = None
    _tell_at: float = 0.0
    _stored: list[InstalledModel] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.transport = OllamaTransport(self.keeper.settings.ollama_host, limits=_LIMITS)

    def run_once(self) -> WorkerReport:
        """Ask Ollama and report; an Ollama that is away is reported as unhealthy."""
        try:
            self.version = self.transport.version()
            self.inventory = take_inventory(self.transport)
            self.models = models_in(self.transport, self.inventory)
            healthy = True
        except OllamaError:
            healthy = False
        report = WorkerReport(
            name=self.keeper.worker,
            host=socket.gethostname(),
            ollama_url=self.keeper.settings.ollama_host,
            ollama_healthy=healthy,
            concurrency=self.keeper.settings.concurrency,
            reported_at=time.time(),
            is_simulated=SIMULATED_VERSION_MARK in (self.version or ""),
            ollama_version=self.version,
            models=self.models,
            since=self._since,
        )
        try:
            report_worker(self.keeper.redis, report)
            self._tell_inventory()
            forget_stale(self.keeper.redis)
        except redis.RedisError:
            pass  # nobody can be told now
        self._store()
        return report

    def _tell_inventory(self) -> None:
        """It can be long: only when it has changed, or may have been flushed."""
        if self.inventory != self._told or time.monotonic() >= self._tell_at:
            publish_inventory(self.keeper.redis, self.keeper.worker, self.inventory)
            self._told, self._tell_at = self.inventory, time.monotonic() + INVENTORY_SECONDS

    def _store(self) -> None:
        """Remember the models in the database, when they have changed."""
        known = [model for model in self.models if model.name]
        if [(m.name, m.size_bytes) for m in known] == [(m.name, m.size_bytes) for m in self._stored]:
            return
        try:
            with self.keeper.service.database.writing() as session:
                for model in known:
                    session.merge(
                        Model(
                            name=model.name,
                            size_bytes=model.size_bytes,
                            can_complete=model.can_complete,
                            seen_at=utc_now(),
                        )
                    )
        except SQLAlchemyError:
            return  # once more next time
        self._stored = known
