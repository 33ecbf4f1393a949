"""`flask --app api db …`: Flask-Migrate's commands; an upgrade copies a SQLite file before it changes it."""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import click
from flask import Flask, current_app
from flask_migrate.cli import db
from sqlalchemy.engine import Engine

from api.command_errors import told_in_one_line
from api.database import get_database
from api.database_move import move
from jobs.instants import utc_now
from jobs.schema import known_revisions, sqlite_file, stored_revision

_migrate_up = db.commands["upgrade"]


def _upgrade(**options: Any) -> None:
    """Upgrade to a later version; an existing SQLite file is copied first."""
    if not options["sql"]:
        with told_in_one_line():
            prepare_upgrade(current_app.config["SQLALCHEMY_DATABASE_URI"], get_database().engine)
    _migrate_up.callback(**options)


upgrade = click.Command(
    "upgrade", params=_migrate_up.params, callback=_upgrade, help=(_upgrade.__doc__ or "").strip()
)


def prepare_upgrade(url: str, engine: Engine) -> Path | None:
    """Make the folder of a SQLite file; where there is something to migrate, copy it. Returns the copy."""
    file = sqlite_file(url)
    if file is None:
        return None
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        return None
    with engine.connect() as connection:
        revision = stored_revision(connection)
    if revision in (None, known_revisions()[-1]):
        return None
    moment = utc_now().strftime("%Y%m%dT%H%M%SZ")
    copy = copy_sqlite(file, file.with_name(f"{file.stem}-{revision}-{moment}{file.suffix}"))
    click.echo(f"The database at version {revision} was copied to {copy} before its upgrade")
    return copy


def copy_sqlite(file: Path, copy: Path) -> Path:
    """A consistent copy of a database in use, with what is still in its WAL; it is on the disk."""
    draft = copy.with_name(f"{copy.name}.part")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)  # it holds prompts
    try:
        with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(draft)) as target:
            source.backup(target)
        os.fsync(descriptor)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
    shutil.copymode(file, draft)
    return draft.replace(copy)


def init_database_commands(app: Flask) -> None:
    db.add_command(upgrade)
    db.add_command(move)
    app.cli.add_command(db)
