"""What has been done: the same figures from SQLite and Postgres."""

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, text

from jobs.database import Database
from jobs.instants import earlier
from jobs.models import Job
from jobs.service import JobService
from jobs.states import Status
from jobs.statistics import Window, WindowReader, count_by_status, read_window
from tests.support.jobs import NOW, OUTCOME, SECOND, claim, make, submit

HOUR = timedelta(hours=1)


@pytest.fixture
def window(service: JobService) -> Callable[[], Window]:
    """Reads the hour that ends with NOW plus an hour, both ends' jobs included."""
    return lambda: read_window(service.database, seconds=3600.0, now=NOW + HOUR)


def complete(service: JobService, waited: float, took: float, model: str = "alpha") -> None:
    """A job that waited and ran for these seconds, and ended within the window."""
    started_at = NOW + timedelta(seconds=waited)
    claimed = claim(service, submit(service, model=model), now=started_at)
    outcome = replace(OUTCOME, processing_seconds=took, tokens_per_second=took * 10)
    assert service.finish(claimed.job_id, claimed.claim, outcome, now=started_at + SECOND)


def test_nothing_has_been_done(window: Callable[[], Window]) -> None:
    """Without jobs there are zeros, and nothing where a zero would be a lie."""
    overall = window().overall
    assert (overall.total, overall.success_rate) == (0, None)
    assert (overall.means, overall.percentiles) == ({}, {})
    assert window().by_model == {}


@pytest.mark.parametrize("count", [1, 2, 19, 20, 21, 40])
def test_the_percentile_is_a_value_that_95_percent_do_not_exceed(
    service: JobService, window: Callable[[], Window], count: int
) -> None:
    """Of 1 to n seconds it is the ceil(0.95 n)-th, of waiting and processing alike."""
    for number in range(1, count + 1):
        complete(service, waited=number, took=number / 10)
    rank = math.ceil(0.95 * count)
    found = window().overall.percentiles
    assert found["waiting"] == pytest.approx(rank, abs=1e-5)
    assert found["processing"] == pytest.approx(rank / 10)


def test_overall_is_all_models_together(service: JobService, window: Callable[[], Window]) -> None:
    """Means weigh jobs and not models; the busiest model comes first."""
    complete(service, waited=1, took=1, model="beta")
    for _ in range(3):
        complete(service, waited=5, took=3)
    found = window()
    assert list(found.by_model) == ["alpha", "beta"]
    assert found.overall.means["waiting"] == pytest.approx(4, abs=1e-5)
    assert found.overall.means["processing"] == pytest.approx(2.5)
    assert found.overall.means["tokens_per_second"] == pytest.approx(25)
    assert found.by_model["beta"].percentiles["processing"] == 1
    assert found.overall.percentiles["processing"] == 3


def test_a_cancelled_job_is_no_failure(service: JobService, window: Callable[[], Window]) -> None:
    """The success rate counts completed among completed, failed and expired."""
    for status in (Status.COMPLETED, Status.FAILED, Status.CANCELLED, Status.EXPIRED, Status.PROCESSING):
        make(service, status)
    overall = window().overall
    assert overall.by_status == dict.fromkeys(
        (Status.COMPLETED, Status.FAILED, Status.CANCELLED, Status.EXPIRED), 1
    )
    assert overall.success_rate == pytest.approx(1 / 3)
    assert overall.counts["waiting"] == 2  # the completed and the failed one had started


def test_what_ended_before_the_window_is_left_out(service: JobService) -> None:
    """A job counts in the window in which it ended."""
    complete(service, waited=0, took=1)
    ended_at = NOW + SECOND
    assert read_window(service.database, seconds=60.0, now=ended_at + 60 * SECOND).overall.total == 1
    assert read_window(service.database, seconds=60.0, now=ended_at + 61 * SECOND).overall.total == 0


def test_all_kept_jobs_by_status(service: JobService) -> None:
    """Every status is counted, also the ones without jobs."""
    make(service, Status.FAILED)
    make(service, Status.PENDING)
    with service.database.reading() as session:
        counted = count_by_status(session)
    assert counted == dict.fromkeys(Status, 0) | {Status.FAILED: 1, Status.PENDING: 1}


def test_a_reader_rests_twenty_times_as_long_as_it_read(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asks while a reader rests gets the figures of before."""
    clock = iter([0.0, 1.0, 20.9, 21.0, 21.1])
    reads: list[float] = []
    monkeypatch.setattr("jobs.statistics.time.monotonic", lambda: next(clock))
    monkeypatch.setattr(
        "jobs.statistics.read_window", lambda *_, seconds: reads.append(seconds) or len(reads)
    )
    reader = WindowReader(sqlite_database, 60.0)
    assert [reader.read() for _ in range(3)] == [1, 1, 2]
    assert reads == [60.0, 60.0]


def test_a_window_is_read_by_its_index(service: JobService) -> None:
    """Jobs that ended before the window are not even looked at."""
    asked = select(Job.id).where(Job.completed_at >= earlier(service.database.moment(), 60.0))
    statement = asked.compile(service.database.engine, compile_kwargs={"literal_binds": True})
    is_sqlite = service.database.engine.dialect.name == "sqlite"
    with service.database.reading() as session:
        if not is_sqlite:
            session.execute(text("SET LOCAL enable_seqscan = off"))  # the table is empty
        explain = "EXPLAIN QUERY PLAN" if is_sqlite else "EXPLAIN"
        plan = " ".join(row[-1] for row in session.execute(text(f"{explain} {statement}")))
    assert "ix_jobs_completed" in plan
    assert ("completed_at>?" if is_sqlite else "Index Cond") in plan
