"""Which model is meant, with Redis there and away."""

from typing import Any

import pytest
import redis
from sqlalchemy import insert

from jobs import breaker as breaker_module
from jobs import catalog as catalog_module
from jobs.active_model import choose_active
from jobs.breaker import Breaker
from jobs.catalog import ModelCatalog
from jobs.database import Database
from jobs.errors import ModelNotInstalled, NoModel
from jobs.instants import utc_now
from jobs.models import Model
from jobs.workers import InstalledModel, WorkerReport, report_worker
from tests.support.clock import Clock


class Away:
    """Redis, while it does not answer."""

    def hvals(self, _: str) -> Any:
        raise redis.ConnectionError("away")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that stands still until it is told."""
    found = Clock(0.0)
    for module in (catalog_module, breaker_module):
        monkeypatch.setattr(module, "time", found)
    return found


def _report(client: Any, *models: InstalledModel, name: str = "w1") -> None:
    moment = utc_now().timestamp()
    report = WorkerReport(name, "gpu", "http://gpu:11434", True, 1, moment, models=list(models))
    report_worker(client, report)


def _remember(database: Database, *names: str) -> None:
    with database.writing() as session:
        for size, name in enumerate(names):
            values = {"name": name, "size_bytes": size, "can_complete": True, "seen_at": utc_now()}
            session.execute(insert(Model).values(**values))


def test_a_named_model_is_taken(sqlite_database: Database, redis_client: Any) -> None:
    """As long as some worker has it."""
    _report(redis_client, InstalledModel("alpha"), InstalledModel("beta"))
    assert ModelCatalog(sqlite_database, redis_client, None).resolve("beta") == "beta"


def test_a_model_that_nobody_has_is_refused(sqlite_database: Database, redis_client: Any) -> None:
    """The error names what there is."""
    _report(redis_client, InstalledModel("beta"), InstalledModel("alpha"))
    with pytest.raises(ModelNotInstalled, match=r"'gamma'.*Installed: alpha, beta") as raised:
        ModelCatalog(sqlite_database, redis_client, None).resolve("gamma")
    assert (raised.value.model, raised.value.installed) == ("gamma", ["alpha", "beta"])


def test_the_configured_model_is_meant_when_none_is_named(
    sqlite_database: Database, redis_client: Any
) -> None:
    """Also when another one is loaded; and it must be there like any other."""
    _report(redis_client, InstalledModel("alpha", is_loaded=True), InstalledModel("beta"))
    assert ModelCatalog(sqlite_database, redis_client, "beta").resolve(None) == "beta"
    with pytest.raises(ModelNotInstalled):
        ModelCatalog(sqlite_database, redis_client, "gamma").resolve(None)


def test_an_activated_model_wins_over_the_configured_one(
    sqlite_database: Database, redis_client: Any
) -> None:
    """From the next submit on, until it is taken back; a named model wins over both."""
    _report(redis_client, InstalledModel("alpha"), InstalledModel("beta"), InstalledModel("gamma"))
    catalog = ModelCatalog(sqlite_database, redis_client, "beta")
    choose_active(sqlite_database, "alpha")
    assert (catalog.resolve(None), catalog.resolve("gamma"), catalog.active()) == ("alpha", "gamma", "alpha")
    choose_active(sqlite_database, "gamma")
    assert catalog.resolve(None) == "gamma"
    choose_active(sqlite_database, None)
    assert (catalog.resolve(None), catalog.active()) == ("beta", None)


def test_a_loaded_model_is_the_default(sqlite_database: Database, redis_client: Any) -> None:
    """Where nothing is configured."""
    _report(redis_client, InstalledModel("alpha", 1), InstalledModel("beta", 2, is_loaded=True))
    assert ModelCatalog(sqlite_database, redis_client, None).resolve(None) == "beta"


def test_without_redis_the_last_known_models_count(sqlite_database: Database) -> None:
    """Any model is accepted then, and the default is the smallest of the database's."""
    _remember(sqlite_database, "small", "big")
    catalog = ModelCatalog(sqlite_database, Away(), None)
    assert catalog.workers() == []
    assert [model.name for model in catalog.models()] == ["small", "big"]
    assert catalog.resolve(None) == "small"
    assert catalog.resolve("whatever") == "whatever"


def test_without_any_worker_every_model_is_accepted(sqlite_database: Database, redis_client: Any) -> None:
    """The job waits for a worker that has it."""
    assert ModelCatalog(sqlite_database, redis_client, None).resolve("alpha") == "alpha"


def test_without_any_model_there_is_no_default(sqlite_database: Database, redis_client: Any) -> None:
    """Nobody ever saw one."""
    with pytest.raises(NoModel):
        ModelCatalog(sqlite_database, redis_client, None).resolve(None)


def test_an_ollama_that_only_embeds_has_no_default(sqlite_database: Database, redis_client: Any) -> None:
    """A prompt needs a model that writes."""
    _report(redis_client, InstalledModel("embedder", can_complete=False))
    with pytest.raises(NoModel):
        ModelCatalog(sqlite_database, redis_client, None).resolve(None)


def test_workers_are_looked_up_once_a_second(
    sqlite_database: Database, real_redis: Any, clock: Clock
) -> None:
    """A submit does not cost a call to Redis each time."""
    catalog = ModelCatalog(sqlite_database, real_redis, None)
    _report(real_redis, InstalledModel("alpha"))
    assert len(catalog.workers()) == 1
    _report(real_redis, InstalledModel("beta"), name="w2")
    clock.now = 1.0
    assert len(catalog.workers()) == 1
    clock.now = 1.1
    assert [worker.name for worker in catalog.workers()] == ["w1", "w2"]
    assert [model.name for model in catalog.models()] == ["alpha", "beta"]


@pytest.mark.usefixtures("clock")
def test_the_first_worker_is_known_at_once(sqlite_database: Database, redis_client: Any) -> None:
    """Whoever has just started a stack is waiting for it."""
    catalog = ModelCatalog(sqlite_database, redis_client, None)
    with pytest.raises(NoModel):
        catalog.resolve(None)
    _report(redis_client, InstalledModel("alpha"))
    assert catalog.resolve(None) == "alpha"


def test_a_redis_that_hangs_is_asked_once_a_second(sqlite_database: Database, clock: Clock) -> None:
    """Nobody waits for its time-out a second time, here or wherever else this breaker is asked."""
    asked: list[float] = []

    class Hangs:
        def hvals(self, _: str) -> Any:
            asked.append(clock.now)
            clock.now += 1.0
            raise redis.TimeoutError

    breaker = Breaker()
    catalog = ModelCatalog(sqlite_database, Hangs(), None, breaker)
    assert [catalog.resolve("alpha") for _ in range(3)] == ["alpha"] * 3
    assert (asked, breaker.allows()) == ([0.0], False)
    clock.now = 2.1
    assert catalog.workers() == []
    assert asked == [0.0, 2.1]


def test_what_hangs_elsewhere_is_not_asked_here(
    sqlite_database: Database, redis_client: Any, clock: Clock
) -> None:
    """The last answer counts meanwhile."""
    _report(redis_client, InstalledModel("alpha"))
    breaker = Breaker()
    catalog = ModelCatalog(sqlite_database, redis_client, None, breaker)
    assert len(catalog.workers()) == 1
    clock.now = 1.5
    breaker.failed()
    redis_client.flushall()
    assert len(catalog.workers()) == 1
    clock.now = 2.6
    assert catalog.workers() == []


def test_workers_that_were_known_are_dropped_with_redis(
    sqlite_database: Database, redis_client: Any, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What can't be asked is not refused by an old answer."""
    _report(redis_client, InstalledModel("alpha"))
    catalog = ModelCatalog(sqlite_database, redis_client, None)
    assert len(catalog.workers()) == 1
    monkeypatch.setattr(catalog, "_client", Away())
    clock.now = 2.0
    assert catalog.resolve("beta") == "beta"
