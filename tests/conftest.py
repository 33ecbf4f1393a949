"""Fixtures for every test: a database of either kind, a service on it, and Redis, fake and real."""

import tests.environment  # noqa: F401, I001 - before anything reads the settings

import gc
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fakeredis
import pytest
import redis

from jobs.database import Database
from jobs.records import Policy
from jobs.service import JobService
from tasks import resources
from tests.support.databases import SqliteTemplate, create_tables, delete_everything
from tests.support.postgres import Postgres
from tests.support.services import missing
from tests.support.valkey import Valkey


def pytest_collection_finish() -> None:
    """What is imported stays: looking through it again and again took a fifth of some folders' time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000)


@pytest.fixture(scope="module", autouse=True)
def no_resources_left_behind() -> Iterator[None]:
    """What an application of a module's tests made the process's own is forgotten with them."""
    before = dict(resources._by_process)
    yield
    resources._by_process.clear()
    resources._by_process.update(before)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A Postgres server for the whole run."""
    try:
        server = Postgres()
    except Exception as error:
        missing(f"no Postgres on this machine: {type(error).__name__}: {error}")
    yield server
    server.close()


@pytest.fixture(scope="session")
def valkey() -> Iterator[Valkey]:
    """A Valkey server for the whole run; a test that stops one makes its own."""
    server = Valkey()
    try:
        server.start()
    except OSError as error:
        server.close()
        missing(f"no Valkey on this machine: {error}")
    yield server
    server.close()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> SqliteTemplate:
    """A SQLite file with empty tables."""
    return SqliteTemplate(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture(scope="session")
def postgres_database(postgres: Postgres) -> Iterator[Database]:
    """A database with empty tables on the Postgres server."""
    database = Database.connect(postgres.create_database("tests"))
    create_tables(database)
    yield database
    database.close()


@pytest.fixture
def sqlite_database(sqlite_template: SqliteTemplate, tmp_path: Path) -> Iterator[Database]:
    """An empty SQLite database, for what is the same on Postgres or does not exist there."""
    database = sqlite_template.copy(tmp_path)
    yield database
    database.close()


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """An empty database: each test runs on SQLite and on a real Postgres."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite_database")
        return
    found: Database = request.getfixturevalue("postgres_database")
    yield found
    delete_everything(found)


@pytest.fixture
def service(database: Database) -> JobService:
    """The writer of jobs with the default policy."""
    return JobService(database, Policy())


@pytest.fixture
def real_redis(valkey: Valkey) -> Iterator[Any]:
    """A client of an empty, real Valkey."""
    with redis.Redis.from_url(valkey.url, decode_responses=True) as client:
        client.flushall()
        yield client


@pytest.fixture(params=["fakeredis", "valkey"])
def redis_client(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A client of an empty Redis: a fake one and a real one."""
    if request.param == "valkey":
        yield request.getfixturevalue("real_redis")
        return
    with fakeredis.FakeRedis(decode_responses=True) as client:
        yield client


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whoever opens a socket, to whatever and from whichever thread, fails the test, even if it goes on."""
    opened: list[str] = []

    class NoSocket(socket.socket):
        def __init__(self, *args: object, **kwargs: object) -> None:
            opened.append(f"{args} {kwargs}")
            raise AssertionError("A test without a network opens a socket.")

    monkeypatch.setattr(socket, "socket", NoSocket)
    yield
    assert opened == []
