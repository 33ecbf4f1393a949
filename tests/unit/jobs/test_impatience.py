"""Whoever asks a Postgres that does not answer gives up in time."""

import threading
import time
from collections.abc import Iterator

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from jobs import impatience
from jobs.database import Connections, Database, engine_options, prepare_engine
from jobs.impatience import give_up_after
from tests.support.postgres import Postgres

LIMIT_SECONDS = 0.3


@pytest.fixture
def impatient(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    monkeypatch.setattr(impatience, "GRACE_SECONDS", 0.2)
    url = postgres.create_database("impatient")
    engine = create_engine(url, **engine_options(url, Connections(statement_timeout_seconds=LIMIT_SECONDS)))
    give_up_after(engine, LIMIT_SECONDS)
    yield Database(prepare_engine(engine))
    engine.dispose()
    postgres.drop_database("impatient")


def test_a_slow_statement_is_cancelled_by_the_server(impatient: Database) -> None:
    """An error as of a database that is away; the connection goes on."""
    with impatient.engine.connect() as connection:
        backend = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        connection.commit()
        with pytest.raises(OperationalError, match="statement timeout"):
            connection.execute(text("SELECT pg_sleep(5)"))
        connection.rollback()
        assert connection.execute(text("SELECT pg_backend_pid()")).scalar_one() == backend


def test_who_gets_no_answer_gives_up(impatient: Database, postgres: Postgres) -> None:
    """The connection is closed: its late answer is nobody's. Afterwards everything is as before."""
    with impatient.engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        with postgres.frozen():
            began = time.monotonic()
            with pytest.raises(OperationalError) as raised:
                connection.execute(text("SELECT 2"))
            assert LIMIT_SECONDS < time.monotonic() - began < LIMIT_SECONDS + 2
        assert raised.value.connection_invalidated
    with impatient.engine.connect() as connection:
        assert connection.execute(text("SELECT 3")).scalar_one() == 3


def test_what_waits_for_a_lock_gives_up(impatient: Database) -> None:
    """Whoever holds it goes on."""
    with impatient.transaction() as connection:
        connection.execute(text("CREATE TABLE t (x int)"))
    failed = threading.Event()

    def wait_for_it() -> None:
        with pytest.raises(OperationalError), impatient.transaction() as other:
            other.execute(text("LOCK TABLE t"))
        failed.set()

    with impatient.transaction() as connection:
        connection.execute(text("LOCK TABLE t"))
        threading.Thread(target=wait_for_it, daemon=True).start()
        assert failed.wait(5)
        connection.execute(text("INSERT INTO t VALUES (1)"))


def test_sqlite_has_its_own_patience(sqlite_database: Database) -> None:
    """Its busy timeout."""
    give_up_after(sqlite_database.engine, LIMIT_SECONDS)
    with sqlite_database.reading() as session:
        assert session.execute(text("SELECT 1")).scalar_one() == 1


def test_only_who_has_a_limit_has_one() -> None:
    """A migration or a copy takes as long as it takes."""
    url = "postgresql+psycopg://host/name"
    assert "options" not in engine_options(url)["connect_args"]
    limited = engine_options(url, Connections(statement_timeout_seconds=1.5))
    assert limited["connect_args"]["options"] == "-c statement_timeout=1500"
    assert limited["pool_timeout"] == pytest.approx(1.5)
