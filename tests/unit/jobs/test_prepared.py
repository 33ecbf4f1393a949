"""What runs on the driver does what SQLAlchemy would have done: values, rows and errors."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import bindparam, delete, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError, OperationalError

from jobs.database import Database
from jobs.models import ApiKey, Model
from jobs.prepared import Prepared
from tests.support.jobs import NOW
from tests.support.postgres import Postgres

_ADD = Prepared(insert(Model.__table__))  # type: ignore[arg-type]
_MODEL = {"name": "m", "size_bytes": None, "can_complete": True, "seen_at": NOW}


@pytest.fixture
def stored(database: Database) -> Iterator[Any]:
    """A transaction in which there is one model."""
    with database.transaction() as connection:
        _ADD.run(connection, _MODEL)
        yield connection


def test_values_and_rows_are_pythons(stored: Any) -> None:
    """An instant, a truth value and NULL go in and come out as such."""
    (row,) = Prepared(select(*Model.__table__.c)).run(stored, {})
    assert row._asdict() == _MODEL
    assert (row.seen_at, row.can_complete) == (NOW, True)


def test_a_json_column_is_an_object(database: Database) -> None:
    """With NULL kept apart from it."""
    columns = (ApiKey.id, ApiKey.allowed_models)
    given = {
        "id": "k",
        "name": "n",
        "role": "user",
        "prefix": "p",
        "created_at": NOW,
        "allowed_models": ["a", "b"],
    }
    statement = insert(ApiKey.__table__).values({name: bindparam(name) for name in given})  # type: ignore[arg-type]
    with database.transaction() as connection:
        Prepared(statement).run(connection, given)
        Prepared(statement).run(connection, {**given, "id": "l", "allowed_models": None})
        rows = Prepared(select(*columns).order_by(ApiKey.id)).run(connection, {})
    assert [tuple(row) for row in rows] == [("k", ["a", "b"]), ("l", None)]


def test_a_statements_own_values_are_kept(stored: Any) -> None:
    """Beside its parameters, of which one may stand in several places."""
    name = bindparam("of_name")
    statement = update(Model).where(Model.name == name).values(size_bytes=7, name=name).returning(Model)
    assert Prepared(statement).one_or_none(stored, {"of_name": "m"}).size_bytes == 7
    assert Prepared(statement).one_or_none(stored, {"of_name": "other"}) is None


def test_one_value(stored: Any) -> None:
    """Of the first row; a column without a name is one too."""
    assert Prepared(select(Model.name)).scalar(stored, {}) == "m"
    assert Prepared(select(Model.name).where(Model.name == "x")).scalar(stored, {}) is None
    assert Prepared(select(select(Model.name).scalar_subquery())).scalar(stored, {}) == "m"


def test_a_statement_that_returns_nothing_has_no_rows(stored: Any) -> None:
    """And still does what it says."""
    assert Prepared(delete(Model)).run(stored, {}) == []
    assert Prepared(select(Model.name)).run(stored, {}) == []


def test_a_parameter_that_is_missing_is_named(stored: Any) -> None:
    """Nothing is sent without it."""
    with pytest.raises(KeyError, match="of_name"):
        Prepared(select(Model.name).where(Model.name == bindparam("of_name"))).run(stored, {"name": "m"})


def test_the_drivers_error_is_sqlalchemys_and_tells_no_values(database: Database) -> None:
    """Callers know one tree of errors; what was asked stands in none of them."""
    with pytest.raises(IntegrityError) as raised, database.transaction() as connection:
        _ADD.run(connection, _MODEL | {"name": "secret"})
        _ADD.run(connection, _MODEL | {"name": "secret"})
    assert "secret" not in str(raised.value).split("DETAIL")[0]
    with database.reading() as session:
        assert session.execute(select(Model.name)).first() is None


def test_a_connection_that_broke_is_not_used_again(postgres: Postgres) -> None:
    """The next transaction gets another one."""
    database = Database.connect(postgres.create_database("broken"))
    own_pid = Prepared(select(func.pg_backend_pid()))
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = :pid"
    try:
        with database.transaction() as connection:
            pid = own_pid.scalar(connection, {})
            with database.transaction() as other:
                other.execute(text(end), {"pid": pid})
            with pytest.raises(OperationalError):
                own_pid.run(connection, {})
            assert connection.invalidated
            connection.rollback()
        with database.transaction() as connection:
            assert own_pid.scalar(connection, {}) != pid
    finally:
        database.close()
