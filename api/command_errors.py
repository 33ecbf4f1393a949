"""What can go wrong in a command is told in one line, without a traceback."""

from collections.abc import Iterator
from contextlib import contextmanager

import click
from sqlalchemy.exc import OperationalError

from jobs.errors import JobsError


@contextmanager
def told_in_one_line() -> Iterator[None]:
    try:
        yield
    except JobsError as error:
        raise click.ClickException(error.message) from None
    except OperationalError as error:
        hint = "is it up, and did `flask --app api db upgrade` run?"
        raise click.ClickException(f"the database can't be used ({error.orig}); {hint}") from None
