"""Transactions on both databases, and errors that tell nothing secret."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, insert, select, text
from sqlalchemy.exc import OperationalError, StatementError
from sqlalchemy.pool import NullPool

from jobs import database as database_module
from jobs.database import Database, engine_options, prepare_engine
from jobs.models import Model
from jobs.service import JobService
from tests.support.jobs import NOW, submit


def _add(session: Any, name: str) -> None:
    session.execute(insert(Model).values(name=name, can_complete=True, seen_at=NOW))


def _names(database: Database) -> list[str]:
    with database.reading() as session:
        return list(session.execute(select(Model.name).order_by(Model.name)).scalars())


@pytest.mark.parametrize("durable", [True, False])
def test_what_is_written_is_there(database: Database, durable: bool) -> None:
    """A block that ends well is committed, by session or by connection."""
    with database.writing(durable=durable) as session:
        _add(session, "a")
    with database.transaction(durable=durable) as connection:
        _add(connection, "b")
    assert _names(database) == ["a", "b"]


def test_a_block_that_fails_leaves_nothing(database: Database) -> None:
    """All of it is taken back."""
    for write in (database.writing, database.transaction):
        with pytest.raises(RuntimeError), write() as writer:
            _add(writer, "a")
            raise RuntimeError
    assert _names(database) == []


def test_errors_do_not_show_what_was_sent(database: Database) -> None:
    """Parameters are prompts, and errors are logged."""
    with pytest.raises(StatementError) as raised, database.writing() as session:
        session.execute(text("SELECT nothing FROM nowhere WHERE x = :prompt"), {"prompt": "my secret"})
    assert "my secret" not in str(raised.value)


def test_without_a_pool_no_connection_is_kept(tmp_path: Path) -> None:
    """The parent of a prefork worker must not hand one to its children."""
    database = Database.connect(f"sqlite:///{tmp_path / 'a.db'}", pooled=False)
    assert isinstance(database.engine.pool, NullPool)
    database.close()


def test_postgres_connections_are_looked_at_before_use() -> None:
    """One that died with the server is replaced and not handed out."""
    options = engine_options("postgresql+psycopg://host/name")
    assert options["pool_pre_ping"] is True
    assert options["connect_args"]["connect_timeout"] <= 5


def test_accepted_means_on_the_disk(sqlite_database: Database) -> None:
    """SQLite is told to wait for the disk where a write must last, and only there."""
    levels = []
    for durable in (True, False):
        with sqlite_database.transaction(durable=durable) as connection:
            levels.append(connection.exec_driver_sql("PRAGMA synchronous").scalar_one())
    assert levels == [2, 1]  # FULL, NORMAL


def test_sqlite_keeps_references_and_a_write_ahead_log(sqlite_database: Database) -> None:
    """Readers and writers don't wait for each other, and a job's deletion takes its parts along."""
    with sqlite_database.reading() as session:
        assert session.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"
        assert session.execute(text("PRAGMA foreign_keys")).scalar_one() == 1


def test_a_reader_does_not_see_half_a_write(database: Database) -> None:
    """What another transaction has not committed is not there."""
    with database.writing() as session:
        _add(session, "a")
        session.flush()
        assert _names(database) == []
    assert _names(database) == ["a"]


@pytest.fixture(params=[False, True], ids=["threads", "greenlets"])
def impatient(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """Makes databases on one SQLite file that wait 0.2 s for each other, in either way of waiting."""
    monkeypatch.setattr(database_module, "BUSY_TIMEOUT_SECONDS", 0.2)
    url = f"sqlite:///{tmp_path / 'one.db'}"
    made: list[Database] = []

    def make() -> Database:
        engine = prepare_engine(create_engine(url, **engine_options(url)), is_cooperative=request.param)
        made.append(Database(engine))
        return made[-1]

    yield make
    for database in made:
        database.close()


def test_a_writer_that_waits_too_long_gives_up(impatient: Callable[[], Database]) -> None:
    """An error after the busy timeout, and the connection is good for the next one."""
    one, other = impatient(), impatient()
    with one.transaction() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x)")
        with pytest.raises(OperationalError, match="locked"), other.transaction():
            pass
    with other.transaction() as connection:
        connection.exec_driver_sql("INSERT INTO t VALUES (1)")


def test_writers_wait_for_each_other(impatient: Callable[[], Database]) -> None:
    """Two that want to write at once both do, one after the other."""
    databases = [impatient(), impatient()]
    with databases[0].transaction() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x)")
    together = threading.Barrier(2)

    def write(database: Database) -> None:
        together.wait(10)
        for _ in range(20):
            with database.transaction() as connection:
                connection.exec_driver_sql("INSERT INTO t VALUES (1)")

    threads = [threading.Thread(target=write, args=(database,)) for database in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    with databases[0].reading() as session:
        assert session.execute(text("SELECT count(*) FROM t")).scalar_one() == 40


def test_a_cooperative_database_reads_and_fails_like_any_other(impatient: Callable[[], Database]) -> None:
    """Reading needs no lock; an error that is not about the lock is not waited on."""
    database = impatient()
    with database.reading() as session:
        assert session.execute(text("SELECT 1")).scalar_one() == 1
    with pytest.raises(OperationalError, match="no such table"), database.transaction() as connection:
        connection.exec_driver_sql("INSERT INTO t VALUES (1)")


def test_many_who_submit_at_once_all_succeed(service: JobService) -> None:
    """Each gets its own job, whoever commits for whom."""
    ids: list[str] = []

    def go() -> None:
        ids.extend(submit(service, now=None) for _ in range(10))

    threads = [threading.Thread(target=go) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    with service.database.reading() as session:
        stored = set(session.execute(text("SELECT id FROM jobs")).scalars())
    assert len(ids) == 40
    assert stored == set(ids)
