"""`flask --app api keys …`: API keys on the operator's command line."""

from datetime import datetime

import click
from flask import Flask
from flask.cli import AppGroup
from sqlalchemy.exc import OperationalError

from api.database import get_database
from jobs.errors import JobsError
from jobs.keys import ROLES, KeyService
from jobs.models import ApiKey

keys = AppGroup("keys", help="API keys: create, list, revoke.")


class _OneLine:
    """What can go wrong is told in one line, without a traceback."""

    def __enter__(self) -> KeyService:
        return KeyService(get_database())

    def __exit__(self, kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, JobsError):
            raise click.ClickException(error.message)
        if isinstance(error, OperationalError):
            hint = "is it up, and did `flask --app api db upgrade` run?"
            raise click.ClickException(f"the database can't be used ({error.orig}); {hint}")


@keys.command()
@click.option("--name", required=True, help="Who or what uses it.")
@click.option("--role", type=click.Choice(ROLES), default="user", show_default=True)
@click.option("--quiet", is_flag=True, help="Print the key and nothing else.")
def create(name: str, role: str, quiet: bool) -> None:
    """Make a key; it is shown this once."""
    with _OneLine() as service:
        key = service.create(name, role)
    click.echo(key if quiet else f"{key}\nThe key of {name} ({role}). It is shown only now; keep it safe.")


@keys.command("list")
def list_keys() -> None:
    """All keys, oldest first."""
    with _OneLine() as service:
        found = service.all()
    rows = [("ID", "NAME", "ROLE", "KEY", "CREATED", "STATE")]
    rows += [(k.id, k.name, k.role, f"{k.prefix}…", _minute(k.created_at), _state(k)) for k in found]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@keys.command()
@click.argument("id_or_name")
def revoke(id_or_name: str) -> None:
    """Make a key, or all of a name, invalid at once."""
    with _OneLine() as service:
        for key_id in service.revoke(id_or_name):
            click.echo(f"revoked {key_id}")


def _state(key: ApiKey) -> str:
    if key.revoked_at is not None:
        return f"revoked {_minute(key.revoked_at)}"
    return "valid" if key.key_hash else "no key opens it"


def _minute(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%MZ")


def init_commands(app: Flask) -> None:
    app.cli.add_command(keys)
