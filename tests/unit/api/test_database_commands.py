"""`flask --app api db upgrade`, and a database that is newer than the code."""

import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from jobs.schema import known_revisions
from settings import ROOT

FLASK = ("-m", "flask", "--app", "api")
START_WEB = ("-m", "gunicorn", "-c", "python:stack.web", "api:create_app()")


def run(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """A command of an installation whose `var/` is the folder."""
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    environment |= {"PADDOCK_VAR": str(folder), "PORT": "48231"}
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def revision_of(file: Path) -> str:
    with closing(sqlite3.connect(file)) as connection:
        return str(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])


def copies(folder: Path) -> list[Path]:
    return sorted(folder.glob("paddock-*.db*"))


def test_files_are_named_after_their_revisions() -> None:
    """Which is how a start knows them without alembic."""
    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations"))
    scripts = ScriptDirectory.from_config(config)
    assert known_revisions() == sorted(script.revision for script in scripts.walk_revisions())
    assert known_revisions()[-1] == scripts.get_current_head()


def test_an_upgrade_makes_the_folder_and_copies_what_it_changes(tmp_path: Path) -> None:
    """A fresh clone has no `var/`; nothing is copied until there is an older database to migrate."""
    folder, newest = tmp_path / "deep" / "var", known_revisions()[-1]
    assert run(folder, *FLASK, "db", "upgrade", "0002").returncode == 0
    assert copies(folder) == []
    with closing(sqlite3.connect(folder / "paddock.db")) as connection:
        # Left open and not checkpointed: this row is in the WAL alone.
        connection.execute("INSERT INTO models (name, can_complete, seen_at) VALUES ('m', 1, 0)")
        connection.commit()
        assert (folder / "paddock.db-wal").stat().st_size > 0
        upgraded = run(folder, *FLASK, "db", "upgrade")
    assert upgraded.returncode == 0, upgraded.stderr
    (copy,) = copies(folder)
    assert re.fullmatch(r"paddock-0002-\d{8}T\d{6}Z\.db", copy.name)
    assert upgraded.stdout.splitlines() == [
        f"The database at version 0002 was copied to {copy} before its upgrade"
    ]
    assert (revision_of(copy), revision_of(folder / "paddock.db")) == ("0002", newest)
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT name FROM models").fetchall() == [("m",)]
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    again = run(folder, *FLASK, "db", "upgrade")
    assert (again.returncode, again.stdout, copies(folder)) == (0, "", [copy])


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation whose database some later Paddock has migrated."""
    folder = tmp_path_factory.mktemp("newer")
    assert run(folder, *FLASK, "db", "upgrade").returncode == 0
    with closing(sqlite3.connect(folder / "paddock.db")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    return folder


@pytest.mark.parametrize(
    "command",
    [
        (*FLASK, "db", "upgrade"),
        (*FLASK, "keys", "list"),
        START_WEB,
        ("-m", "worker"),
    ],
    ids=["upgrade", "keys", "web", "worker"],
)
def test_a_newer_database_is_refused_in_one_line(newer: Path, command: tuple[str, ...]) -> None:
    """With status 2, and the database stays as it is."""
    refused = run(newer, *command)
    assert refused.returncode == 2, refused.stderr
    ours = [line for line in refused.stderr.splitlines() if "gunicorn" not in line]
    assert "Traceback" not in refused.stderr
    assert len([line for line in refused.stderr.splitlines() if "9999" in line]) == 1
    assert ours[-1].startswith("the database is at version 9999")
    assert revision_of(newer / "paddock.db") == "9999"
