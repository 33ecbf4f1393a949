"""The migrations make what the models say, and what Celery expects, on both databases."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from celery.backends.database.models import Task, TaskExtended
from celery.backends.database.session import ResultModelBase
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import inspect, text

from api import create_app
from api.database import db, get_database
from jobs.database import Database
from jobs.keys import LOCAL_KEY_ID, KeyService
from jobs.models import ApiKey
from settings import get_settings

CELERY_TABLES = set(ResultModelBase.metadata.tables)
EXTENDED = set(TaskExtended.__mapper__.columns.keys()) - set(
    Task.__mapper__.columns.keys()
)  # not switched on


@pytest.fixture(params=["sqlite", "postgres"])
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Flask]:
    """The web application on a database without any table."""
    if request.param == "sqlite":
        yield from _application(f"sqlite:///{tmp_path / 'empty.db'}")
        return
    server = request.getfixturevalue("postgres")
    yield from _application(server.create_database("migrations"))
    server.drop_database("migrations")


def _application(url: str) -> Iterator[Flask]:
    made = create_app(get_settings().model_copy(update={"database_url": url}))
    with made.app_context():
        yield made
        get_database().close()


@pytest.fixture
def database(app: Flask) -> Database:
    """The application's database."""
    return get_database()


def _differences(database: Database, metadata: Any, is_ours: Callable[[str], bool]) -> list[Any]:
    """What alembic would still do to make the database as the models are."""

    def include(described: Any, name: str | None, kind: str, *_: Any) -> bool:
        if kind == "column" and described.table.name == Task.__tablename__:
            return name not in EXTENDED
        return kind != "table" or is_ours(str(name))

    with database.engine.connect() as connection:
        options = {"include_object": include, "compare_type": True, "compare_server_default": True}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


def test_the_migrations_make_what_the_models_say(database: Database) -> None:
    """Tables, columns, types, keys and indexes."""
    upgrade()
    ours = set(db.metadata.tables)
    assert _differences(database, db.metadata, lambda name: name in ours) == []


def test_partial_indexes_have_the_models_conditions(database: Database) -> None:
    """Which alembic does not compare."""

    def conditions() -> dict[str, Any]:
        found = {}
        for index in inspect(database.engine).get_indexes("jobs"):
            options = index["dialect_options"]
            where = [options[name] for name in ("sqlite_where", "postgresql_where") if name in options]
            found[str(index["name"])] = [str(condition) for condition in where]
        return found

    upgrade()
    migrated = conditions()
    downgrade(revision="base")
    db.create_all()
    assert migrated == conditions()
    assert sum(bool(condition) for condition in migrated.values()) >= 6


def test_celerys_own_tables_are_as_celery_describes_them(database: Database) -> None:
    """Celery never makes them itself, so an upgrade of Celery that changes them fails here."""
    upgrade()
    assert _differences(database, ResultModelBase.metadata, CELERY_TABLES.__contains__) == []


def test_the_local_key_is_there_and_opens_nothing(database: Database) -> None:
    """The owner of what Python code submits."""
    upgrade()
    with database.reading() as session:
        key = session.get_one(ApiKey, LOCAL_KEY_ID)
    assert (key.name, key.role, key.key_hash, key.revoked_at) == ("local", "user", None, None)


def test_a_first_start_makes_the_tables_and_a_key(app: Flask) -> None:
    """The key is the last that it prints; a later start makes none, and says nothing."""
    first = app.test_cli_runner().invoke(args=["prepare", "--admin-key"])
    assert first.exit_code == 0, first.output
    opened = KeyService(get_database()).verify(first.output.splitlines()[-1])
    assert opened is not None and (opened.name, opened.role) == ("admin", "admin")
    assert "ollama_job_responses" in inspect(get_database().engine).get_view_names()
    assert app.test_cli_runner().invoke(args=["prepare"]).output == ""


def test_the_migrations_can_be_taken_back(database: Database) -> None:
    """Down to nothing, and up again."""
    upgrade()
    downgrade(revision="base")
    assert set(inspect(database.engine).get_table_names()) == {"alembic_version"}
    assert inspect(database.engine).get_view_names() == []
    upgrade()
    assert "jobs" in inspect(database.engine).get_table_names()


def test_an_upgrade_keeps_what_there_is(database: Database) -> None:
    """Each step from the first on, with a job in the tables."""
    upgrade(revision="0001")
    with database.transaction() as connection:
        connection.execute(
            text(
                "INSERT INTO jobs (id, status, task, kind, model, key_id, priority, metadata, created_at, "
                "publication, claim, attempts, has_successors, successors_pending, completed_at) VALUES "
                "('j1', 'completed', 't', 'generate', 'm', 'local', 5, '{}', 1, 1, 1, 0, false, false, 2)"
            )
        )
        connection.execute(
            text("INSERT INTO job_payloads (job_id, input) VALUES ('j1', '{\"prompt\": \"Why?\"}')")
        )
    upgrade()
    with database.reading() as session:
        assert session.execute(text("SELECT prompt FROM ollama_job_responses")).scalar_one() == "Why?"
