"""`flask --app api db move`: a SQLite installation becomes a Postgres one."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import column, func, insert, inspect, select, table, text

from api.database_move import _target
from jobs.copying import BATCH_ROWS
from jobs.database import Database
from jobs.errors import InvalidRequest
from jobs.instants import utc_now
from jobs.models import Base
from jobs.requests import validate_submit
from jobs.service import JobService
from settings import ROOT, get_settings
from tests.support.postgres import Postgres

pytestmark = pytest.mark.one_database
OTHER_RESULTS = table("celery_taskmeta", column("id"), column("task_id"), column("result"))
TABLES = [*Base.metadata.sorted_tables, OTHER_RESULTS]


def flask(var: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "flask", "--app", "api", *arguments]
    values = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    values |= {"PADDOCK_VAR": str(var), "PORT": "1", **environment}  # nobody listens there
    return subprocess.run(
        command, cwd=ROOT, env=values, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture
def target(postgres: Postgres) -> Iterator[str]:
    """The URL of an empty database."""
    yield postgres.create_database("moved")
    postgres.drop_database("moved")


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation with jobs in several states, keys, and a result of a task that is no job."""
    tmp_path = tmp_path_factory.mktemp("installation")
    assert flask(tmp_path, "db", "upgrade").returncode == 0
    assert flask(tmp_path, "keys", "create", "--name", "ci", "--max-pending", "7").returncode == 0
    database = Database.connect(f"sqlite:///{tmp_path / 'paddock.db'}")
    service = JobService(database)
    for number in range(BATCH_ROWS + 5):
        request = validate_submit({"prompt": f"Grüße {number} 🐎", "metadata": {"n": str(number)}})
        service.submit(request, model="alpha", key_id="local", task="tasks.generate")
    failed = service.submit(request, model="alpha", key_id="local", task="tasks.generate").job_id
    service.cancel(failed)
    with database.transaction() as connection:
        connection.execute(insert(OTHER_RESULTS), {"id": 41, "task_id": "other", "result": b"\x00\xff"})
    database.close()
    return tmp_path


@pytest.fixture
def var(installation: Path, tmp_path: Path) -> Path:
    """A test's own copy of it."""
    return Path(shutil.copytree(installation, tmp_path / "var"))


def _order(each: Any) -> list[Any]:
    return list(each.primary_key) or [each.c.id]


def rows(url: str) -> dict[str, list[Any]]:
    """Everything that is in a database."""
    database = Database.connect(url)
    with database.engine.connect() as connection:
        found = {
            each.name: [tuple(row) for row in connection.execute(select(each).order_by(*_order(each)))]
            for each in TABLES
        }
    database.close()
    return found


def test_everything_is_moved(var: Path, target: str) -> None:
    """Each row of each table is the same, numbers go on, and the old file is left as it was."""
    before = rows(f"sqlite:///{var / 'paddock.db'}")
    done = flask(var, "db", "move", "--to", target)
    assert done.returncode == 0, done.stderr
    assert f"jobs: {BATCH_ROWS + 6} rows" in done.stdout
    assert rows(target) == before == rows(f"sqlite:///{var / 'paddock.db'}")
    database = Database.connect(target)
    with database.transaction() as connection:
        # As Celery takes its numbers.
        assert connection.execute(select(func.nextval("task_id_sequence"))).scalar_one() == 42
    service = JobService(database)
    job_id = before["jobs"][0][0]
    assert service.claim(job_id, publication=1, worker="w1") is not None
    database.close()
    assert "ci" in flask(var, "keys", "list", DATABASE_URL=target).stdout
    # A target that is in use keeps what it has.
    again = flask(var, "db", "move", "--to", target)
    assert again.returncode == 2
    assert "not empty" in again.stderr
    assert len(rows(target)["jobs"]) == BATCH_ROWS + 6


def test_a_move_that_broke_off_can_be_repeated(var: Path, target: str) -> None:
    """What it had copied is not kept."""
    database = Database.connect(f"sqlite:///{var / 'paddock.db'}")
    with database.transaction() as connection:
        connection.execute(
            text("UPDATE jobs SET model = :long WHERE id = (SELECT max(id) FROM jobs)"), {"long": "m" * 999}
        )
    database.close()
    broken = flask(var, "db", "move", "--to", target)
    assert broken.returncode == 2
    assert "nothing was moved" in broken.stderr
    assert rows(target)["jobs"] == []
    with database.transaction() as connection:
        connection.execute(text("UPDATE jobs SET model = 'alpha'"))
    database.close()
    assert flask(var, "db", "move", "--to", target).returncode == 0


@pytest.mark.parametrize(
    ("statements", "told"),
    [
        (["CREATE TABLE precious (x int)"], "it has a table precious"),
        (
            [
                "CREATE TABLE alembic_version (version_num text)",
                "INSERT INTO alembic_version VALUES ('9999')",
            ],
            "the target can't be used: the database is at version 9999",
        ),
    ],
)
def test_a_target_of_somebody_elses_is_left_as_it_is(
    var: Path, target: str, statements: list[str], told: str
) -> None:
    """Nothing is made beside what is there."""
    database = Database.connect(target)
    with database.transaction() as connection:
        for statement in statements:
            connection.execute(text(statement))
    refused = flask(var, "db", "move", "--to", target)
    assert refused.returncode == 2
    assert told in refused.stderr
    with database.reading() as session:
        assert len(inspect(session.connection()).get_table_names()) == 1
    database.close()


def test_a_target_that_is_away_is_named_without_its_password(var: Path) -> None:
    """In one line that says why."""
    refused = flask(var, "db", "move", "--to", "postgresql://u:secret@127.0.0.1:1/x")
    assert refused.returncode == 2
    assert len(refused.stderr.strip().splitlines()) == 1
    assert "the target can't be used: connection failed" in refused.stderr
    assert "secret" not in refused.stderr


@pytest.mark.parametrize("url", ["sqlite:///other.db", "mysql://host/name", "nonsense"])
def test_a_target_that_is_no_postgres_is_refused(url: str) -> None:
    """In a line that says what is expected."""
    with pytest.raises(InvalidRequest, match="postgresql://"):
        _target(get_settings(), url)


def test_an_older_database_is_upgraded_first(var: Path, target: str) -> None:
    """By whoever moves it, knowingly."""
    assert flask(var, "db", "downgrade").returncode == 0
    done = flask(var, "db", "move", "--to", target)
    assert done.returncode == 2
    assert "db upgrade" in done.stderr


def test_a_running_installation_is_not_moved(var: Path, target: str) -> None:
    """What it accepts meanwhile would stay behind."""
    import http.server
    import threading

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        done = flask(var, "db", "move", "--to", target, PORT=str(server.server_port))
    finally:
        server.shutdown()
        server.server_close()
    assert done.returncode == 2
    assert "make stop" in done.stderr


def test_a_file_that_is_open_elsewhere_is_not_moved(var: Path, target: str) -> None:
    """Whoever has it open would go on to write to it."""
    with closing(sqlite3.connect(var / "paddock.db")) as connection:
        connection.execute("SELECT count(*) FROM jobs").fetchone()
        done = flask(var, "db", "move", "--to", target)
    assert done.returncode == 2
    assert "another process has the SQLite file open" in done.stderr
    assert rows(target)["jobs"] == []


def test_values_that_the_models_would_change(var: Path, target: str) -> None:
    """JSON goes text for text, null apart from no value; NUL is replaced; numbers go on."""
    with closing(sqlite3.connect(var / "paddock.db")) as connection:
        first, second = connection.execute("SELECT id FROM jobs ORDER BY id LIMIT 2").fetchall()
        connection.execute(
            "UPDATE job_payloads SET input = ?, canvas = 'null' WHERE job_id = ?", ('{"a":  [1.50]}', *first)
        )
        connection.execute("UPDATE job_payloads SET canvas = NULL WHERE job_id = ?", second)
        connection.execute("UPDATE jobs SET error_message = ? WHERE id = ?", ("a\0b\t\\N", *first))
        connection.execute("DELETE FROM job_history")
        connection.execute(
            "INSERT INTO job_history (id, job_id, at, event, detail) VALUES (41, ?, 1, 'e', '{}')", first
        )
        connection.commit()
    done = flask(var, "db", "move", "--to", target)
    assert done.returncode == 0, done.stderr
    database = Database.connect(target)
    with database.transaction() as connection:
        payloads = text("SELECT input::text, canvas::text FROM job_payloads ORDER BY job_id LIMIT 2")
        (given, null), (_, absent) = connection.execute(payloads).all()
        assert (given, null, absent) == ('{"a":  [1.50]}', "null", None)
        message = connection.execute(text("SELECT error_message FROM jobs WHERE id = :id"), {"id": first[0]})
        assert message.scalar_one() == "a\N{REPLACEMENT CHARACTER}b\t\\N"
        history = insert(Base.metadata.tables["job_history"]).returning(text("id"))
        entry = {"job_id": first[0], "at": utc_now(), "event": "e", "detail": {}}
        assert connection.execute(history, entry).scalar_one() == 42
    database.close()
