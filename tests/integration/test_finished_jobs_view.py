"""The view ollama_job_responses as the migrations make it, on both databases."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, text

from jobs.database import Database
from jobs.instants import utc_now
from jobs.models import Job, JobPayload, JobResult
from settings import ROOT

pytestmark = pytest.mark.one_database
CHAT = {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "question"}]}


def migrate(url: str, *arguments: str) -> None:
    command = [sys.executable, "-m", "flask", "--app", "api", "db", *arguments]
    environment = {**os.environ, "DATABASE_URL": url}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database with all migrations."""
    if request.param == "sqlite":
        folder: Path = tmp_path_factory.mktemp("view")
        made = f"sqlite:///{folder / 'view.db'}"
    else:
        made = request.getfixturevalue("postgres").create_database("view")
    migrate(made, "upgrade")
    return made


@pytest.fixture
def migrated(url: str) -> Iterator[Database]:
    database = Database.connect(url)
    yield database
    with database.transaction() as connection:
        for table in (JobResult, JobPayload, Job):
            connection.execute(text(f"DELETE FROM {table.__tablename__}"))
    database.close()


def view_of(
    database: Database, status: str, asked: dict[str, Any], data: Any = None
) -> tuple[Any, ...] | None:
    """What the view has of one job."""
    values = {
        "id": "j",
        "task": "t",
        "kind": "k",
        "model": "m",
        "key_id": "local",
        "priority": 5,
        "labels": {},
    }
    reason = "It broke." if status == "failed" else None
    with database.writing() as session:
        session.execute(
            insert(Job).values(**values, status=status, created_at=utc_now(), error_message=reason)
        )
        session.execute(insert(JobPayload).values(job_id="j", input=asked))
        if data is not None:
            session.execute(insert(JobResult).values(job_id="j", result={}, result_data=data))
    with database.reading() as session:
        row = session.execute(text("SELECT * FROM ollama_job_responses")).one_or_none()
    return None if row is None else tuple(row)


@pytest.mark.parametrize(
    ("status", "asked", "data", "expected"),
    [
        ("completed", {"prompt": "Why?"}, "So.", ("Why?", "done", "So.")),
        ("completed", CHAT, {"role": "assistant", "content": "answer"}, ("question", "done", "answer")),
        ("completed", {"input": "one"}, [[1]], ("one", "done", "[[1]]")),
        ("failed", {"prompt": "Why?"}, "text so far", ("Why?", "failed", "It broke.")),
        ("cancelled", {"prompt": "Why?"}, None, ("Why?", "failed", "The job is cancelled.")),
        ("expired", {"prompt": "Why?"}, None, ("Why?", "failed", "The job is expired.")),
    ],
)
def test_a_finished_job_in_the_view(
    migrated: Database, status: str, asked: dict[str, Any], data: Any, expected: tuple[str, str, str]
) -> None:
    """The prompt, and the answer or why there is none, as text, whatever the kind."""
    assert view_of(migrated, status, asked, data) == ("j", *expected)


@pytest.mark.parametrize("status", ["pending", "processing"])
def test_an_unfinished_job_is_not_in_the_view(migrated: Database, status: str) -> None:
    """A job on its way has no response yet."""
    assert view_of(migrated, status, {"prompt": "Why?"}) is None


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("a\0b\0\0", "a\ufffdb\ufffd\ufffd"),
        ("\\u0000 is text", "\\u0000 is text"),
        ("\\\0 and \\\\u0000", "\\\ufffd and \\\\u0000"),
        ("😀 ü \u2028 \x01", "😀 ü \u2028 \x01"),
        ('"quoted" \\ud800', '"quoted" \\ud800'),
    ],
)
def test_odd_characters_in_the_view(migrated: Database, stored: str, shown: str) -> None:
    """NUL is replaced, since Postgres has none in a text; everything else is as it was."""
    assert view_of(migrated, "completed", {"prompt": stored}, stored) == ("j", shown, "done", shown)


# SQLite gives out such text as it is, in bytes that are no UTF-8.
@pytest.mark.parametrize("url", ["postgres"], indirect=True)
def test_half_a_surrogate_pair_does_not_break_the_view_on_postgres(migrated: Database) -> None:
    """One row with text that is no Unicode leaves the view readable."""
    asked = {"messages": [{"role": "user", "content": "x\ud800y\udc00 \ud83d\ude00"}]}
    expected = ("j", "x\ufffdy\ufffd 😀", "done", "So.")
    assert view_of(migrated, "completed", asked, {"content": "So."}) == expected


def test_the_view_can_be_taken_back(url: str) -> None:
    """Its migration goes down and up again."""
    migrate(url, "downgrade", "0001")
    migrate(url, "upgrade")
