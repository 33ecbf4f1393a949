"""
Each statement finds its rows by an index: SQLite says how it would run what the functions really send.

Postgres decides by its statistics, and on an empty table it always reads the whole.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy.orm import Session

from jobs.clearing import clear_pending
from jobs.database import Database
from jobs.housekeeping import (
    expire_due,
    published_before,
    purge_completed,
    release_due,
    republish,
    untold_successors,
)
from jobs.listing import JobFilter, list_jobs
from jobs.positions import queue_position, queue_positions
from jobs.queries import count_pending, view_job
from jobs.reaping import reap_expired
from jobs.records import Policy
from jobs.scheduling.window import Line
from jobs.service import JobService
from jobs.states import Status
from jobs.window import read_lines, release_next, take_back
from tests.support.jobs import NOW, SECOND, claim, make, row, running, submit
from tests.support.statements import statements_heard

LINE = Line("alpha", "k1", 5)


@dataclass(frozen=True)
class Plan:
    """One statement and SQLite's way to run it."""

    statement: str
    steps: list[str]

    def reads_all_jobs(self) -> bool:
        return any(step.startswith("SCAN jobs") and "USING" not in step for step in self.steps)

    def sorts(self) -> bool:
        return any("TEMP B-TREE" in step for step in self.steps)

    def uses(self, index: str) -> bool:
        return any(f"INDEX {index} " in f"{step} " for step in self.steps)


def _plans(database: Database, act: Callable[[], Any]) -> list[Plan]:
    """The plans of the statements about jobs that `act` sends."""
    sent: list[tuple[str, Any]] = []

    def note(_cursor: Any, statement: str, parameters: Any) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE", "WITH")) and "jobs" in statement:
            sent.append((statement, parameters))

    with statements_heard(note):
        act()
    with database.engine.connect() as connection:
        return [
            Plan(statement, [str(step[3]) for step in _explain(connection, statement, parameters)])
            for statement, parameters in sent
        ]


def _explain(connection: Any, statement: str, parameters: Any) -> Any:
    return connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", tuple(parameters))


def _reading(service: JobService, read: Callable[[Session], Any]) -> Any:
    with service.database.reading() as session:
        return read(session)


def _list(**wanted: Any) -> Callable[[JobService], Any]:
    return lambda service: _reading(service, lambda s: list_jobs(s, JobFilter(**wanted), limit=2))


def _next_page(service: JobService) -> None:
    for _ in range(3):
        submit(service)

    def read(session: Session) -> None:
        _, cursor = list_jobs(session, JobFilter(key_id="k1"), limit=1)
        list_jobs(session, JobFilter(key_id="k1"), limit=1, cursor=cursor)

    _reading(service, read)


def _positions(service: JobService) -> None:
    job = row(service, submit(service))
    _reading(service, lambda s: queue_positions(s, [job]))


def _purge(service: JobService) -> None:
    make(service, Status.COMPLETED)
    purge_completed(service, older_than_seconds=1.0, now=NOW + 60 * SECOND)


def _reap(service: JobService) -> None:
    running(service)
    reap_expired(service, now=NOW + 60 * SECOND)


# Whether there is room for one more: a row that is made up, and what an index gave.
OF_NO_TABLE = ("SCAN CONSTANT ROW", "SCAN room", "SCAN anon_1", "SCAN anon_2")


def _hold(service: JobService, count: int = 3) -> JobService:
    """One job lined up of each of two keys, the others held back."""
    full = JobService(service.database, Policy(line_up=1))
    for _ in range(count):
        submit(full, key_id="k1")
        submit(full, key_id="k2")
    return full


def _place(service: JobService) -> None:
    job = row(service, submit(service))
    _reading(service, lambda s: queue_position(s.connection(), job))


def _last_held_place(service: JobService) -> None:
    full = _hold(service)
    job = row(full, submit(full))
    _reading(service, lambda s: queue_position(s.connection(), job))
    _reading(service, lambda s: queue_positions(s, [job]))


STATEMENTS: dict[str, tuple[Callable[[JobService], Any], str]] = {
    "list of an owner": (_list(key_id="k1"), "ix_jobs_owner"),
    "list of an owner, next page": (_next_page, "ix_jobs_owner"),
    "list of all": (_list(), "ix_jobs_newest"),
    "list by status": (_list(status=Status.FAILED), "ix_jobs_status"),
    "list by model": (_list(model="alpha"), "ix_jobs_model"),
    "reaper": (_reap, "ix_jobs_lease"),
    "release": (lambda service: release_due(service, now=NOW), "ix_jobs_not_before"),
    "expiry": (lambda service: expire_due(service, now=NOW), "ix_jobs_deadline"),
    "reconciler": (lambda service: published_before(service, seconds_ago=3.0, limit=9), "ix_jobs_published"),
    "place": (_place, "ix_jobs_position"),
    "places of a page": (_positions, "ix_jobs_position"),
    "place in a backlog": (_last_held_place, "ix_jobs_held"),
    "lines": (lambda service: read_lines(_hold(service).database), "ix_jobs_lined_up"),
    "running lines": (lambda service: read_lines(_hold(service).database), "ix_jobs_lease"),
    "held lines": (lambda service: read_lines(_hold(service).database), "ix_jobs_held"),
    "release of what is held": (
        lambda service: release_next(_hold(service), LINE, limit=3, most=2),
        "ix_jobs_held",
    ),
    "room for a release": (lambda service: release_next(_hold(service), LINE, limit=3), "ix_jobs_lined_up"),
    "take-back": (lambda service: take_back(_hold(service), LINE, keep=0), "ix_jobs_lined_up"),
    "submit": (_hold, "ix_jobs_lined_up"),
    "submit behind held jobs": (_hold, "ix_jobs_held"),
    "purge": (_purge, "ix_jobs_newest"),
    "successors": (lambda service: untold_successors(service, seconds_ago=3.0), "ix_jobs_successors"),
    "clearing": (lambda service: list(clear_pending(service, "alpha", now=NOW)), "ix_jobs_backlog"),
    "a key's pending jobs": (
        lambda service: _reading(service, lambda s: count_pending(s, at_most=9, key_id="k1")),
        "ix_jobs_pending_of_key",
    ),
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_statements_about_many_jobs_use_their_index(sqlite_database: Database, name: str) -> None:
    """None reads the whole table, and what is ordered comes in order from the index."""
    act, index = STATEMENTS[name]
    service = JobService(sqlite_database)
    plans = _plans(sqlite_database, lambda: act(service))
    assert plans
    for plan in plans:
        assert not plan.reads_all_jobs(), plan
        assert not plan.sorts(), plan
    assert any(plan.uses(index) for plan in plans), plans


def test_statements_about_one_job_use_its_key(sqlite_database: Database) -> None:
    """Claim, renew, finish and every other change look up one row."""
    service = JobService(sqlite_database)

    def live() -> None:
        job_id = submit(service)
        service.renew(job_id, claim(service, job_id).claim, now=NOW)
        service.hand_back(job_id, 1, now=NOW)
        republish(service, {job_id: 2}, now=NOW)
        service.successors_sent(job_id)
        service.cancel(job_id, now=NOW)
        service.retry(job_id, now=NOW)
        _reading(service, lambda s: view_job(s, row(service, make(service, Status.COMPLETED)), whole=True))

    plans = _plans(sqlite_database, live)
    assert len(plans) > 10
    for plan in plans:
        assert not any(step.startswith("SCAN") and step not in OF_NO_TABLE for step in plan.steps), plan
