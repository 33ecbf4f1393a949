"""
What a process needs to work on jobs: one engine, one Redis client, and the services on them.

Keyed by process id, since neither survives a fork. The parent of a prefork worker
pools nothing: a connection that lives across the fork, or a lock inside SQLite
that another thread held at that moment, hangs the child for ever.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import redis

from jobs.catalog import ModelCatalog
from jobs.database import Connections, Database
from jobs.events import EventWriter
from jobs.forecast import Forecaster
from jobs.model_names import normalise_model
from jobs.records import Policy
from jobs.round_trips import OwnConnections, RoundTrip
from jobs.service import JobService
from settings import Settings, get_settings
from tasks import publishing

# Whoever submits, reads from Ollama or hands a job back must not be held up by a Redis that hangs.
REDIS_TIMEOUT_SECONDS = 1.0


def connect_redis(settings: Settings, *, timeout_seconds: float = REDIS_TIMEOUT_SECONDS) -> redis.Redis:
    """A client that answers as text."""
    return redis.Redis.from_url(
        settings.redis_url,
        decode_responses=True,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=2.0,
        health_check_interval=5,
    )


@dataclass(frozen=True)
class Resources:
    """The services of this process; each is made when it is first asked for."""

    settings: Settings
    database: Database

    @cached_property
    def redis(self) -> redis.Redis:
        return connect_redis(self.settings)

    @cached_property
    def round_trip(self) -> RoundTrip:
        """For what every job sends."""
        return OwnConnections(self.redis)

    @cached_property
    def service(self) -> JobService:
        return JobService(self.database, policy_of(self.settings))

    @cached_property
    def catalog(self) -> ModelCatalog:
        model = self.settings.model
        default = normalise_model(model) if model else None
        return ModelCatalog(self.database, self.redis, default, publishing.breaker)

    @cached_property
    def forecaster(self) -> Forecaster:
        return Forecaster(self.database, self.catalog.workers, self.settings.affinity_seconds)

    @cached_property
    def events(self) -> EventWriter:
        return EventWriter(self.redis)


def policy_of(settings: Settings) -> Policy:
    """The core's part of the settings."""
    return Policy(
        lease_seconds=settings.lease_seconds,
        max_attempts=settings.max_attempts,
        backoff_seconds=settings.backoff_seconds,
        ageing_seconds=settings.ageing_seconds,
        line_up=settings.line_up,
    )


_lock = threading.Lock()
_by_process: dict[int, Resources] = {}
_pooled = True


def pool_connections(pooled: bool) -> None:
    """Whether this process, and those forked from it, keep connections open from now on."""
    global _pooled  # noqa: PLW0603 - a property of the process, like its id
    _pooled = pooled


def get_resources() -> Resources:
    """This process's resources."""
    process = os.getpid()
    found = _by_process.get(process)
    if found is None:
        with _lock:
            found = _by_process.get(process)
            if found is None:
                settings = get_settings()
                found = Resources(
                    settings,
                    Database.connect(
                        settings.database_url, Connections(**settings.database_connections), pooled=_pooled
                    ),
                )
                _by_process[process] = found
    return found


def use_database(database: Database, settings: Settings | None = None) -> None:
    """Work on this database: the API hands over Flask-SQLAlchemy's engine, tests their own."""
    with _lock:
        _by_process[os.getpid()] = Resources(settings or get_settings(), database)


@contextmanager
def use_resources(resources: Resources) -> Iterator[None]:
    """Work with these until the block is left, then with what was there before: for doubles."""
    process = os.getpid()
    with _lock:
        before = _by_process.get(process)
        _by_process[process] = resources
    try:
        yield
    finally:
        with _lock:
            _by_process.pop(process)
            if before is not None:
                _by_process[process] = before
