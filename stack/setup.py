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


def upgrade_database(environment: Mapping[str, str]) -> None:
    """Brings the tables up to date; nothing happens where they are. Says where it copied the old ones to."""
    for line in _flask(environment, "db", "upgrade").splitlines():
        say(line)


def ensure_admin_key(places: Places, environment: Mapping[str, str]) -> None:
    """The first admin's API key, in a file that only its owner reads."""
    if places.admin_key.exists():
        return
    key = _flask(environment, "keys", "create", "--name", "admin", "--role", "admin", "--quiet").strip()
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
        raise StackError(f"flask --app api {' '.join(arguments[:2])} failed: {reason}")
    return done.stdout
