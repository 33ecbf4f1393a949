"""SQLite has one writer at a time: what is done while the lock is held, and what is not."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from jobs import database as database_module
from jobs.database import Database
from jobs.housekeeping import expire_due, release_due
from jobs.models import Job
from jobs.service import JobService
from tests.support.jobs import NOW, OUTCOME, SECOND, claim, payload, result, row, running, submit


def _file(database: Database) -> Path:
    return Path(str(database.engine.url.database))


@contextmanager
def locked(database: Database) -> Iterator[None]:
    """Somebody else is in the middle of a write."""
    with closing(sqlite3.connect(_file(database), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def is_locked(database: Database) -> bool:
    with closing(sqlite3.connect(_file(database), isolation_level=None, timeout=0)) as other:
        try:
            other.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return True
        other.execute("ROLLBACK")
        return False


@pytest.fixture
def queue(sqlite_database: Database) -> JobService:
    """Jobs in a file."""
    return JobService(sqlite_database)


def test_nobody_waits_while_json_is_made(queue: JobService, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of vectors take 50 ms, a long conversation some: both are text before the lock is taken."""
    made: list[tuple[Any, bool]] = []

    def dumps(value: Any) -> str:
        made.append((value, is_locked(queue.database)))
        return json.dumps(value)

    monkeypatch.setattr(database_module, "json", type("json", (), {"dumps": staticmethod(dumps)}))
    job_id = submit(queue, canvas={"chain": []})
    assert queue.finish(job_id, claim(queue, job_id).claim, OUTCOME, now=NOW)
    large = [{"prompt": "Why?"}, {"chain": []}, OUTCOME.result, "It scatters."]
    assert [each for each in made if each[0] in large] == [(value, False) for value in large]
    given, found = payload(queue, job_id), result(queue, job_id)
    assert found is not None
    assert (given.input, given.canvas) == ({"prompt": "Why?"}, {"chain": []})
    assert (found.result, found.result_data) == (OUTCOME.result, "It scatters.")


@pytest.mark.parametrize("canvas", [None, {}])
def test_text_that_is_json_already_is_stored_as_what_it_says(service: JobService, canvas: Any) -> None:
    """On both databases, nothing at all included."""
    job_id = submit(service, prompt='"quoted" \\ {"a": 1}', canvas=canvas)
    given = payload(service, job_id)
    assert (given.input, given.canvas) == ({"prompt": '"quoted" \\ {"a": 1}'}, canvas)


def test_a_run_that_was_rehearsed_compiles_nothing(
    queue: JobService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its statements are known when it takes the lock for the first time."""
    job_id = submit(queue)
    new = JobService(Database.connect(str(queue.database.engine.url)))
    new.rehearse()
    dialect = new.database.engine.dialect
    compiler, compiled = dialect.statement_compiler, []

    def compile_statement(*args: Any, **options: Any) -> Any:
        compiled.append(args[1])
        return compiler(*args, **options)

    monkeypatch.setattr(dialect, "statement_compiler", compile_statement)
    claimed = new.claim(job_id, publication=1, worker="w1", now=NOW)
    assert claimed is not None
    assert new.renew(job_id, claimed.claim, now=NOW)
    assert new.finish(job_id, claimed.claim, OUTCOME, now=NOW)
    assert compiled == []
    submit(new)
    assert compiled  # what was not rehearsed is seen
    new.database.close()


def test_a_rehearsal_changes_nothing_and_waits_for_nobody(queue: JobService) -> None:
    """Also while another process writes; the connection writes again afterwards."""
    job_id = submit(queue)
    with locked(queue.database):
        queue.rehearse()
    with queue.database.reading() as session:
        assert list(session.scalars(select(Job.id))) == [job_id]
    assert running(queue).claim == 1


def test_a_rehearsal_is_nothing_to_other_databases(service: JobService) -> None:
    """They lock rows."""
    service.rehearse()
    assert running(service).claim == 1


def test_housekeeping_that_finds_nothing_takes_no_lock(queue: JobService) -> None:
    """It looks each second, for what is rarely there."""
    later = submit(queue, delay_seconds=60.0, deadline_seconds=120.0)
    with locked(queue.database):
        assert release_due(queue, now=NOW + 59 * SECOND) == []
        assert expire_due(queue, now=NOW + 59 * SECOND) == []
    assert [found.job_id for found in release_due(queue, now=NOW + 60 * SECOND)] == [later]
    assert expire_due(queue, now=NOW + 120 * SECOND) == [later]
    assert row(queue, later).status == "expired"
