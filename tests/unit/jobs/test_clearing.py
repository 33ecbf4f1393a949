"""Cancelling all that waits for a model."""

import pytest

from jobs.clearing import clear_pending, still_published
from jobs.service import JobService
from jobs.states import Status
from tests.support.jobs import NOW, SECOND, make, row, submit


def test_what_waits_is_cancelled_in_batches(service: JobService) -> None:
    """Released or not, however many; each transaction takes a few."""
    released = {submit(service) for _ in range(4)}
    delayed = submit(service, delay_seconds=60.0)
    batches = list(clear_pending(service, "alpha", batch=2, now=NOW))
    assert [len(batch) for batch in batches] == [2, 2, 1]
    assert {job_id for batch in batches for job_id in batch} == {*released, delayed}
    assert {row(service, job_id).status for job_id in (*released, delayed)} == {Status.CANCELLED}


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.PENDING])
def test_what_runs_or_has_ended_stays(service: JobService, status: Status) -> None:
    """Only what is pending is cancelled."""
    job_id = make(service, status)
    assert list(clear_pending(service, "alpha", now=NOW + 60 * SECOND)) == []
    assert row(service, job_id).status == status


def test_other_models_and_later_jobs_stay(service: JobService) -> None:
    """What comes while a queue is cleared is not meant."""
    other, later = submit(service, model="beta"), submit(service, now=NOW + SECOND)
    assert list(clear_pending(service, "alpha", now=NOW)) == []
    assert {row(service, one).status for one in (other, later)} == {Status.PENDING}


def test_who_follows_a_cleared_job_is_told(service: JobService) -> None:
    """Successors are left to the keeper, as after any cancel."""
    job_id = submit(service, has_successors=True)
    assert list(clear_pending(service, "alpha", now=NOW)) == [[job_id]]
    job = row(service, job_id)
    assert (job.successors_pending, job.error_code) == (True, "cancelled")
    assert job.completed_at is not None


def test_messages_that_still_stand_for_a_job(service: JobService) -> None:
    """Those of pending jobs, with their current number."""
    waiting, moved, ended = submit(service), submit(service), make(service, Status.CANCELLED)
    service.change_priority(moved, 0, now=NOW)
    with service.database.reading() as session:
        found = still_published(session, [waiting, moved, ended, "nobody"])
    assert found == {(waiting, 1), (moved, 2)}
