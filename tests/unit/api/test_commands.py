"""`flask --app api keys …`."""

import os
import subprocess
import sys

import pytest
from click.testing import Result

from api import commands
from jobs.known_keys import KNOWN_FOR_SECONDS
from jobs.models import Base
from settings import ROOT
from tests.unit.api.conftest import Api


def run(api: Api, *arguments: str) -> Result:
    return api.app.test_cli_runner().invoke(args=["keys", *arguments])


def test_a_key_made_quietly(api: Api) -> None:
    """--quiet prints the key alone, which then opens the API."""
    key = run(api, "create", "--name", "ci", "--quiet").output.strip()
    assert api.get("/api/llm/jobs/", key=key).status_code == 200


def test_a_key_is_shown_once(api: Api) -> None:
    """The list shows a key's beginning, never the key."""
    key = run(api, "create", "--name", "root", "--role", "admin").output.split()[0]
    listed = run(api, "list").output
    assert key not in listed
    assert "root" in listed
    assert "admin" in listed


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """For how long commands have waited."""
    seconds: list[float] = []
    monkeypatch.setattr(commands, "time", type("Clock", (), {"sleep": seconds.append}))
    return seconds


def test_a_key_revoked_by_name(api: Api, waited: list[float]) -> None:
    """A revoked key opens nothing, and is listed as revoked."""
    key = run(api, "create", "--name", "ci", "--quiet").output.strip()
    assert run(api, "revoke", "ci").exit_code == 0
    assert api.get("/api/llm/jobs/", key=key).status_code == 401
    assert "revoked" in run(api, "list").output


def test_a_key_ends_everywhere_before_the_command_does(api: Api, waited: list[float]) -> None:
    """Other processes may know it for a second; one that stays valid for a while needs no waiting."""
    run(api, "create", "--name", "ci")
    run(api, "rotate", "ci", "--overlap-hours", "1")
    assert waited == []
    run(api, "rotate", "ci", "--overlap-hours", "0")
    assert waited == [KNOWN_FOR_SECONDS]
    run(api, "revoke", "ci")
    assert waited == [KNOWN_FOR_SECONDS] * 2


@pytest.mark.parametrize("arguments", [["revoke", "nobody"], ["create", "--name", ""], ["create"]])
def test_a_wrong_command_is_told_in_a_line(api: Api, arguments: list[str]) -> None:
    """What can't be done is told without a traceback, and the exit status is not 0."""
    result = run(api, *arguments)
    assert result.exit_code != 0
    assert "Traceback" not in result.output
    assert "Error" in result.output


def test_a_database_without_tables_is_told(api: Api) -> None:
    """Before the migration, commands say what to run."""
    Base.metadata.drop_all(api.database.engine)
    assert "db upgrade" in run(api, "list").output


def test_commands_do_not_import_celery() -> None:
    """Commands that only need the database start without Celery."""
    code = "import sys, api; assert 'celery' not in sys.modules, 'celery'"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=dict(os.environ), check=True)
