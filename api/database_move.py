"""`flask --app api db move`: a SQLite installation becomes a Postgres one."""

from collections.abc import Iterator
from contextlib import contextmanager

import click
import redis
import requests
from flask.cli import with_appcontext
from flask_migrate import upgrade
from pydantic import ValidationError
from sqlalchemy import Connection, Engine, MetaData, Table, create_engine, delete, func, inspect, select
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from api.command_errors import told_in_one_line
from api.configuration import current_settings
from api.database import get_database
from jobs.copying import copy_rows, count_rows
from jobs.database import Database
from jobs.errors import InvalidRequest
from jobs.keys import LOCAL_KEY_ID
from jobs.models import ApiKey, Base
from jobs.schema import VERSION_TABLE, DatabaseTooNew, known_revisions, refuse_newer, stored_revision
from jobs.workers import live_workers
from settings import Settings

WEB_TIMEOUT_SECONDS = 1.0
BUSY_TIMEOUT_SECONDS = 2.0
# Celery's tables number their rows from these; as celery.backends.database.models has them.
CELERY_SEQUENCES = {"celery_taskmeta": "task_id_sequence", "celery_tasksetmeta": "taskset_id_sequence"}


@click.command("move")
@click.option("--to", "url", required=True, help="postgresql://USER:PASSWORD@HOST/NAME, an empty database.")
@with_appcontext
def move(url: str) -> None:
    """Copy everything from this SQLite installation into an empty Postgres."""
    with _refused_in_one_line():
        settings = current_settings()
        target_settings = _target(settings, url)
        source = get_database().engine
        _check_source(source)
        _check_nothing_runs(settings)
        tables = _tables(source)
        _check_target(target_settings, tables)
        _make_tables(target_settings)
        copied = _copy(source, target_settings, tables)
    for name, rows in copied.items():
        click.echo(f"{name}: {rows} rows")
    click.echo(
        "All rows are there. Set DATABASE_URL to the new database and start again; the old file is as it was."
    )


class Refused(click.ClickException):
    """Nothing was moved."""

    exit_code = 2


@contextmanager
def _refused_in_one_line() -> Iterator[None]:
    try:
        with told_in_one_line():
            yield
    except click.ClickException as error:
        raise Refused(error.message) from None


def _target(settings: Settings, url: str) -> Settings:
    try:
        found = Settings(**{**settings.model_dump(), "database_url": url})
    except ValidationError:
        raise InvalidRequest("--to: expected postgresql://USER:PASSWORD@HOST/NAME") from None
    if not found.database_url.startswith("postgresql"):
        raise InvalidRequest("--to: expected postgresql://USER:PASSWORD@HOST/NAME")
    return found


def _check_source(source: Engine) -> None:
    if source.dialect.name != "sqlite":
        raise InvalidRequest("DATABASE_URL is no SQLite file: there is nothing to move")
    with source.connect() as connection:
        revision, newest = stored_revision(connection), known_revisions()[-1]
    if revision != newest:
        raise InvalidRequest(
            f"this database is at revision {revision}, the code at {newest}: "
            "run `flask --app api db upgrade` first"
        )


def _check_nothing_runs(settings: Settings) -> None:
    """What is accepted or finished during the move would stay behind."""
    from tasks.resources import connect_redis

    try:
        workers = [worker.name for worker in live_workers(connect_redis(settings, timeout_seconds=1.0))]
    except redis.RedisError:
        workers = []
    if workers:
        raise InvalidRequest(f"{workers[0]} is running: stop all workers and the web first (make stop)")
    try:
        requests.get(f"{settings.base_url}/healthz", timeout=WEB_TIMEOUT_SECONDS)
    except requests.RequestException:
        return
    raise InvalidRequest(f"the web answers at {settings.base_url}: stop it and all workers first (make stop)")


def _tables(source: Engine) -> list[Table]:
    """Paddock's and Celery's own, each after those that it refers to."""
    celerys = MetaData()
    celerys.reflect(source, only=list(CELERY_SEQUENCES))
    return [*Base.metadata.sorted_tables, *celerys.sorted_tables]


def _check_target(settings: Settings, tables: list[Table]) -> None:
    """Before anything is made in it."""
    ours = {table.name: table for table in tables}
    target = Database.connect(settings.database_url, pooled=False)
    try:
        with target.reading() as session:
            connection = session.connection()
            refuse_newer(connection)
            found = set(inspect(connection).get_table_names()) - {VERSION_TABLE}
            if foreign := sorted(found - set(ours)):
                raise InvalidRequest(f"the target is not empty: it has a table {foreign[0]}")
            _check_empty(connection, [ours[name] for name in sorted(found)])
    except DatabaseTooNew as error:
        raise InvalidRequest(f"the target can't be used: {error}") from None
    except SQLAlchemyError as error:
        raise InvalidRequest(f"the target can't be used: {_reason(error)}") from None


def _make_tables(settings: Settings) -> None:
    from api import create_app  # late: it is what registers this command

    app = create_app(settings)
    with app.app_context():
        database = get_database()
        try:
            upgrade()
        finally:
            database.close()


def _copy(source: Engine, settings: Settings, tables: list[Table]) -> dict[str, int]:
    """
    All rows in one transaction.

    Raises:
        InvalidRequest: the target has rows already, or not as many as the source afterwards.
    """
    from api import create_app

    with create_app(settings).app_context():
        database = get_database()
        try:
            with _alone(source) as from_here, database.transaction() as to_there:
                _check_empty(to_there, tables)
                to_there.execute(delete(ApiKey))  # the one that a migration makes
                expected = count_rows(from_here, tables)
                with click.progressbar(length=sum(expected.values()), label="copying", show_pos=True) as bar:
                    copy_rows(from_here, to_there, tables, sequences=CELERY_SEQUENCES, on_rows=bar.update)
                counted = count_rows(to_there, tables)
                if counted != expected:
                    raise InvalidRequest(f"rows differ, nothing was moved: {expected} here, {counted} there")
                return counted
        except SQLAlchemyError as error:
            raise InvalidRequest(f"nothing was moved: {_reason(error)}") from error
        finally:
            database.close()


@contextmanager
def _alone(source: Engine) -> Iterator[Connection]:
    """
    The source, to be read; until the end no other process can open it.

    Raises:
        InvalidRequest: some process has it open, and would go on to write to it.
    """
    source.dispose()
    # In this mode from its first access on, SQLite locks the file against readers too.
    engine = create_engine(source.url, poolclass=NullPool, connect_args={"timeout": BUSY_TIMEOUT_SECONDS})
    with engine.connect() as connection:
        try:
            connection.exec_driver_sql("PRAGMA locking_mode=EXCLUSIVE")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        except OperationalError:
            raise InvalidRequest(
                "nothing was moved: another process has the SQLite file open; stop it first (make stop)"
            ) from None
        yield connection


def _check_empty(connection: Connection, tables: list[Table]) -> None:
    """No rows but what the migrations wrote; what anybody else wrote is not ours to take."""
    rows = count_rows(connection, tables)
    if rows.get(ApiKey.__tablename__):
        strangers = select(func.count()).select_from(ApiKey).where(ApiKey.id != LOCAL_KEY_ID)
        rows[ApiKey.__tablename__] = connection.execute(strangers).scalar_one()
    full = [name for name, count in rows.items() if count]
    if full:
        raise InvalidRequest(f"the target is not empty: it has rows in {', '.join(full)}")


def _reason(error: SQLAlchemyError) -> str:
    """What the database said, in a line; its further lines may show the row."""
    return str(getattr(error, "orig", None) or type(error).__name__).splitlines()[0].rstrip(": ")
