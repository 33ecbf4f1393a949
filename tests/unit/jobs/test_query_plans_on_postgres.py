"""
Postgres finds its rows by an index too, on a table as a long backlog makes it.

It decides by its statistics: mostly pending and held back, some lined up, a few that run or have ended.
"""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import text

from jobs.database import Database
from jobs.forecast import read_loading, read_paces
from jobs.instants import utc_now
from jobs.queues import running_jobs
from jobs.reaping import reap_expired
from jobs.records import Policy
from jobs.scheduling.window import Line
from jobs.service import JobService
from jobs.statistics import read_window
from jobs.usage import read_usage, tokens_used
from jobs.window import release_next, take_back
from tests.support.databases import create_tables
from tests.support.jobs import claim, submit
from tests.support.postgres import Postgres
from tests.support.statements import statements_heard
from tests.unit.jobs.test_query_plans import STATEMENTS, _reading

JOBS = 100_000
LINE = Line("m1", "k1", 5)
_JOBS = text("""
    INSERT INTO jobs (id, status, task, kind, model, key_id, priority, metadata, created_at, released_at,
        due_at, published_at, not_before, deadline_at, completed_at, lease_until, publication, claim,
        attempts, has_successors, successors_pending, prompt_tokens, output_tokens, processing_seconds,
        started_at)
    SELECT 'j' || n, state, 'tasks.generate', 'generate', 'm' || (n / 7) % 5, 'k' || (n / 35) % 8,
        CASE n % 3 WHEN 0 THEN 5 ELSE (n / 11) % 10 END, '{}', at,
        CASE WHEN is_lined_up OR state <> 'pending' THEN at END, CASE WHEN is_lined_up THEN at + 300 END,
        CASE WHEN is_lined_up THEN at END, CASE WHEN state = 'pending' AND n % 200 = 1 THEN at + 900000 END,
        CASE WHEN n % 500 = 2 THEN at + 900000 END,
        CASE WHEN state IN ('completed', 'failed') THEN at + 9 END,
        CASE WHEN state = 'processing' THEN at + 900000 END, 1, 1, 0, false, false, 9, 9, 1.5, at
    FROM (
        SELECT n, :now - :jobs + n AS at, CASE WHEN n % 25 = 3 THEN 'completed' WHEN n % 500 = 4 THEN 'failed'
            WHEN n % 10000 = 5 THEN 'processing' ELSE 'pending' END AS state,
            n % 25 <> 3 AND n % 500 <> 4 AND n % 10000 <> 5 AND n % 20 = 0 AS is_lined_up
        FROM generate_series(1, :jobs) AS n
    ) AS made
""")


@dataclass(frozen=True)
class Plan:
    """One statement and Postgres' way to run it, as EXPLAIN's JSON has it."""

    statement: str
    top: dict[str, Any]

    def reads_all_jobs(self) -> bool:
        return _reads_all_jobs(self.top)


def _reads_all_jobs(step: dict[str, Any], limited_to: float = math.inf) -> bool:
    """Whether a step reads the table from its start, and no limit ends that soon."""
    if step["Node Type"] == "Limit":
        limited_to = step["Total Cost"]
    if step["Node Type"] == "Seq Scan" and step["Relation Name"] == "jobs":
        return bool(limited_to > step["Total Cost"] / 100)
    return any(_reads_all_jobs(below, limited_to) for below in step.get("Plans", []))


@pytest.fixture(scope="module")
def crowded(postgres: Postgres) -> Iterator[JobService]:
    """A service on a database with a long backlog."""
    database = Database.connect(postgres.create_database("crowded"))
    create_tables(database)
    with database.transaction() as connection:
        connection.execute(_JOBS, {"jobs": JOBS, "now": utc_now().timestamp()})
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE jobs"))
    yield JobService(database, Policy())
    database.close()
    postgres.drop_database("crowded")


def _plans(act: Callable[[], Any]) -> list[Plan]:
    """The plans of the statements about jobs that `act` sends, as they were when it sent them."""
    found: list[Plan] = []

    def explain(cursor: Any, statement: str, parameters: Any) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE", "WITH")) and "jobs" in statement:
            with cursor.connection.cursor() as other:
                other.execute(f"EXPLAIN (FORMAT JSON) {statement}", parameters)
                (answer,) = other.fetchone()
            plan = json.loads(answer) if isinstance(answer, str) else answer
            found.append(Plan(statement, plan[0]["Plan"]))

    with statements_heard(explain):
        act()
    return found


def _live(service: JobService) -> None:
    job_id = submit(service, now=None)
    run = claim(service, job_id)
    service.renew(job_id, run.claim)
    service.hand_back(job_id, run.claim)
    service.cancel(job_id)
    service.retry(job_id)


ACTS: dict[str, Callable[[JobService], Any]] = {
    **{
        name: act
        for name, (act, _) in STATEMENTS.items()
        # The one would take away what others look at; the other counts whatever waits: most of the table.
        if name not in {"clearing", "backlog"}
    },
    "a job's life": _live,
    "reaper with work": lambda service: reap_expired(service, now=utc_now()),
    "window of the last hour": lambda service: read_window(service.database, seconds=3600.0),
    "a key's usage": lambda service: read_usage(service.database, seconds=3600.0, key_id="k1"),
    "a key's tokens": lambda service: tokens_used(service.database, "k1", seconds=60.0),
    "release of a backlog": lambda service: release_next(service, LINE, limit=1000, most=3),
    "take-back from a line": lambda service: take_back(service, LINE, keep=2),
    "running jobs": lambda service: _reading(service, lambda s: running_jobs(s, at_most=9)),
    "paces": lambda service: _reading(service, read_paces),
    "loads": lambda service: _reading(service, read_loading),
}


@pytest.mark.parametrize("name", ACTS)
def test_no_statement_reads_the_whole_table(crowded: JobService, name: str) -> None:
    """However long the backlog is."""
    plans = _plans(lambda: ACTS[name](crowded))
    assert plans
    for plan in plans:
        assert not plan.reads_all_jobs(), plan


def test_a_submits_place_is_a_range_of_its_index(crowded: JobService) -> None:
    """And no condition on each job of the model: with nothing ahead no limit would end that."""
    (plan,) = _plans(lambda: submit(crowded, now=None))
    (condition,) = [
        step["Index Cond"] for step in _steps(plan.top) if step.get("Index Name") == "ix_jobs_position"
    ]
    assert "due_at" in condition


def _steps(step: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield step
    for below in step.get("Plans", []):
        yield from _steps(below)


def test_a_table_that_is_read_would_be_seen(crowded: JobService) -> None:
    """A condition that no index has."""

    def read() -> None:
        with crowded.database.reading() as session:
            session.execute(text("SELECT id FROM jobs WHERE output_tokens = 3"))

    (plan,) = _plans(read)
    assert plan.reads_all_jobs()
