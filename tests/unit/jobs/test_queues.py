"""What waits and runs, by model, on both databases."""

from sqlalchemy import text

from jobs.database import Database
from jobs.queries import count_pending
from jobs.queues import pending_statement, read_queues, running_jobs
from jobs.service import JobService
from jobs.states import Status
from tests.support.jobs import NOW, SECOND, WORKER, make, submit


def test_a_queue_counts_by_priority(service: JobService) -> None:
    """Pending jobs are counted by model and submitted priority; the oldest tells since when."""
    submit(service, priority=9, now=NOW + SECOND)
    submit(service, priority=9)
    submit(service, priority=0, now=NOW + 2 * SECOND)
    submit(service, model="beta", delay_seconds=60)
    make(service, Status.PROCESSING)
    make(service, Status.COMPLETED)
    make(service, Status.FAILED)
    queues = read_queues(service.database, now=NOW + 10 * SECOND)
    assert queues.keys() == {"alpha", "beta"}
    alpha = queues["alpha"]
    assert alpha.pending == {9: 2, 0: 1}
    assert (alpha.processing, alpha.completed_last_minute) == (1, 1)
    assert alpha.oldest_pending_at == NOW
    assert queues["beta"].pending == {5: 1}


def test_throughput_is_of_the_last_minute(service: JobService) -> None:
    """A job that was completed a minute ago is not counted any more."""
    make(service, Status.COMPLETED)
    assert read_queues(service.database, now=NOW + 61 * SECOND)["alpha"].completed_last_minute == 1
    assert read_queues(service.database, now=NOW + 62 * SECOND) == {}


def test_running_jobs_come_longest_first(service: JobService) -> None:
    """Running jobs name their worker, and are no more than asked for."""
    first, second = make(service, Status.PROCESSING), make(service, Status.PROCESSING)
    with service.database.reading() as session:
        found = running_jobs(session, at_most=5)
        assert len(running_jobs(session, at_most=1)) == 1
    assert {job.job_id for job in found} == {first, second}
    assert {(job.worker, job.started_at) for job in found} == {(WORKER, NOW)}


def test_the_backlog_is_read_by_its_index(sqlite_database: Database) -> None:
    """Counting what waits touches no row and sorts nothing: the index has all of it, in order."""
    with sqlite_database.reading() as session:
        statement = str(pending_statement().compile(sqlite_database.engine))
        plan = [row[-1] for row in session.execute(text(f"EXPLAIN QUERY PLAN {statement}"))]
    assert plan == ["SEARCH jobs USING COVERING INDEX ix_jobs_backlog (status=?)"]


def test_pending_jobs_of_a_key(service: JobService) -> None:
    """Only the key's own pending jobs count, and no further than asked."""
    for _ in range(3):
        submit(service, key_id="mine")
    submit(service, key_id="other")
    with service.database.reading() as session:
        assert count_pending(session, at_most=10, key_id="mine") == 3
        assert count_pending(session, at_most=2, key_id="mine") == 2
        assert count_pending(session, at_most=10) == 4
