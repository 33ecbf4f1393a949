"""The operator's command line; `flask --app api keys …`: API keys."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

import click
from flask import Flask
from flask.cli import AppGroup
from pydantic import ValidationError

from api.command_errors import told_in_one_line
from api.database import get_database
from api.doctor.command import doctor
from api.job_commands import jobs
from api.model_commands import models
from api.queue_commands import queues
from api.tables import print_table
from jobs.errors import InvalidRequest
from jobs.instants import HOUR_SECONDS, utc_now
from jobs.key_limits import KeyLimits
from jobs.keys import DEFAULT_OVERLAP, ROLES, IssuedKey, KeyService
from jobs.known_keys import KNOWN_FOR_SECONDS
from jobs.models import ApiKey
from jobs.requests import describe_problem
from jobs.usage import read_usage

keys = AppGroup("keys", help="API keys: create, list, rotate, revoke.")
Command = TypeVar("Command", bound=Callable[..., Any])


def _level(_context: click.Context, _option: click.Parameter, value: str | None) -> int | str | None:
    """A level's number, or what may be its name."""
    return int(value) if value is not None and value.isdecimal() else value


_LIMITS = (
    click.option("--default-priority", callback=_level, help="For jobs that name none: 0 to 9, or a name."),
    click.option("--priority-ceiling", callback=_level, help="The most urgent priority that it may use."),
    click.option("--allowed-model", "allowed_models", multiple=True, help="May be given several times."),
    click.option("--on-disconnect", type=click.Choice(("cancel", "continue")), help="When a client leaves."),
    click.option("--requests-per-minute", type=int, help="Jobs that it may submit in a minute."),
    click.option("--tokens-per-minute", type=int, help="Tokens that its jobs may use in a minute."),
    click.option("--max-pending", type=int, help="Jobs that it may have pending at once."),
    click.option("--expires-at", help="Such as 2030-01-01T00:00:00Z."),
)


def _limit_options(command: Command) -> Command:
    for option in reversed(_LIMITS):
        command = option(command)
    return command


@keys.command()
@click.option("--name", required=True, help="Who or what uses it.")
@click.option("--role", type=click.Choice(ROLES), default="user", show_default=True)
@_limit_options
@click.option("--quiet", is_flag=True, help="Print the key and nothing else.")
def create(name: str, role: str, quiet: bool, **limits: Any) -> None:
    """Make a key; it is shown this once."""
    with told_in_one_line():
        service = KeyService(get_database())
        issued = service.issue(name, role, _checked(limits))
    _show(issued, quiet)


@keys.command()
@click.argument("id_or_name")
@click.option(
    "--overlap-hours",
    type=click.FloatRange(0, 30 * 24),
    default=DEFAULT_OVERLAP / timedelta(hours=1),
    show_default=True,
    help="How long the key before stays valid; 0: it ends at once.",
)
@click.option("--quiet", is_flag=True, help="Print the key and nothing else.")
def rotate(id_or_name: str, overlap_hours: float, quiet: bool) -> None:
    """Make a new key with the rights of an old one; it is shown this once."""
    with told_in_one_line():
        service = KeyService(get_database())
        key_id = service.find_valid(id_or_name)
        issued = service.rotate(key_id, overlap=timedelta(hours=overlap_hours))
    if not overlap_hours:
        time.sleep(KNOWN_FOR_SECONDS)  # by then no process lets the one before in
    _show(issued, quiet)


@keys.command("list")
def list_keys() -> None:
    """All keys, oldest first."""
    with told_in_one_line():
        service = KeyService(get_database())
        found = service.all()
    rows = [("ID", "NAME", "ROLE", "KEY", "CREATED", "STATE")]
    rows += [(k.id, k.name, k.role, f"{k.prefix}…", _minute(k.created_at), _state(k)) for k in found]
    print_table(rows)


@keys.command()
@click.option("--hours", type=click.FloatRange(0, 24 * 366, min_open=True), default=24.0, show_default=True)
def usage(hours: float) -> None:
    """What each key has used of each model."""
    with told_in_one_line():
        found = read_usage(get_database(), seconds=hours * HOUR_SECONDS)
        names = {key.id: key.name for key in KeyService(get_database()).all()}
    rows = [("KEY", "MODEL", "JOBS", "PROMPT TOKENS", "OUTPUT TOKENS", "SECONDS")]
    rows += [
        (
            names.get(each.key_id, each.key_id),
            each.model,
            str(each.jobs),
            str(each.prompt_tokens),
            str(each.output_tokens),
            f"{each.processing_seconds:.1f}",
        )
        for each in found
    ]
    print_table(rows)


@keys.command()
@click.argument("id_or_name")
def revoke(id_or_name: str) -> None:
    """Make a key, or all of a name, invalid at once."""
    with told_in_one_line():
        service = KeyService(get_database())
        revoked = service.revoke(id_or_name)
    time.sleep(KNOWN_FOR_SECONDS)  # by then no process lets it in
    for key_id in revoked:
        click.echo(f"revoked {key_id}")


def _checked(values: dict[str, Any]) -> KeyLimits:
    given = {name: value for name, value in values.items() if value not in (None, ())}
    if "allowed_models" in given:
        given["allowed_models"] = list(given["allowed_models"])
    try:
        return KeyLimits.model_validate(given)
    except ValidationError as error:
        raise InvalidRequest("; ".join(describe_problem(found)[1] for found in error.errors())) from None


def _show(issued: IssuedKey, quiet: bool) -> None:
    name, role = issued.key.name, issued.key.role
    hint = f"\nThe key of {name} ({role}). It is shown only now; keep it safe."
    click.echo(issued.secret + ("" if quiet else hint))


def _state(key: ApiKey) -> str:
    if key.revoked_at is not None:
        return f"revoked {_minute(key.revoked_at)}"
    if key.expires_at is not None and key.expires_at <= utc_now():
        return f"expired {_minute(key.expires_at)}"
    return "valid" if key.key_hash else "no key opens it"


def _minute(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%MZ")


def init_commands(app: Flask) -> None:
    app.cli.add_command(keys)
    app.cli.add_command(jobs)
    app.cli.add_command(models)
    app.cli.add_command(queues)
    app.cli.add_command(doctor)
