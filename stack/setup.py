"""What the first start makes: the database's tables and the first admin's key."""

import os
import subprocess
import sys
from collections.abc import Mapping

from settings import ROOT

from .errors import StackError
from .places import Places
from .terminal import say

COMMAND_TIMEOUT_SECONDS = 300.0


def prepare_database(places: Places, environment: Mapping[str, str]) -> None:
    """
    Brings the tables up to date, and makes the first admin's key where there is none yet.

    Says where it copied the old tables to, if it did.
    """
    needs_key = not places.admin_key.exists()
    said = _flask(environment, "prepare", *(["--admin-key"] if needs_key else [])).splitlines()
    key = said.pop() if needs_key else None
    for line in said:
        say(line)
    if key:
        _keep(key, places)


def _keep(key: str, places: Places) -> None:
    """The admin's API key, in a file that only its owner reads."""
    draft = places.admin_key.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"{key}\n")
    draft.replace(places.admin_key)
    say(f"Made the admin's API key: {places.admin_key} (only you can read it)")


def _flask(environment: Mapping[str, str], *arguments: str) -> str:
    """
    Runs one command of the operator's command line and returns what it printed.

    Raises:
        StackError: it failed; the line ends with its last line.
    """
    command = [sys.executable, "-m", "flask", "--app", "api", *arguments]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=dict(environment),
        capture_output=True,
        text=True,
        errors="replace",
        timeout=COMMAND_TIMEOUT_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        reason = (done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()[-1]
        raise StackError(f"flask --app api {arguments[0]} failed: {reason}")
    return done.stdout
