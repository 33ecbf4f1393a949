"""Cancelling and retrying: what users change about a job."""

import pytest

from jobs.errors import AlreadyComplete, JobNotFound, JobsError
from jobs.records import Failure
from jobs.service import JobService
from jobs.states import FINAL, Status
from tests.support.jobs import (
    FAILURE,
    NOW,
    OUTCOME,
    SECOND,
    WORKER,
    attempts,
    claim,
    make,
    result,
    row,
    running,
    submit,
)

RETRYABLE = sorted(FINAL - {Status.COMPLETED})


@pytest.mark.parametrize("status", [Status.PENDING, Status.PROCESSING])
def test_a_job_on_its_way_is_cancelled(service: JobService, status: Status) -> None:
    """Waiting or running, it ends at once, and who waits for it is to be told."""
    job_id = make(service, status, has_successors=True)
    service.cancel(job_id, now=NOW + SECOND)
    job = row(service, job_id)
    assert (job.status, job.completed_at, job.lease_until) == (Status.CANCELLED, NOW + SECOND, None)
    assert (job.error_code, job.successors_pending) == ("cancelled", True)


def test_a_delayed_job_is_cancelled(service: JobService) -> None:
    """Also one that was never released."""
    job_id = submit(service, delay_seconds=60.0)
    service.cancel(job_id, now=NOW)
    assert row(service, job_id).status == Status.CANCELLED


@pytest.mark.parametrize("status", sorted(FINAL))
def test_what_has_ended_is_not_cancelled(service: JobService, status: Status) -> None:
    """It is too late, and the error says how the job ended."""
    job_id = make(service, status)
    with pytest.raises(AlreadyComplete, match=status):
        service.cancel(job_id, now=NOW)
    assert row(service, job_id).status == status


def test_a_running_job_can_be_spared(service: JobService) -> None:
    """Celery's revoke without terminate only takes what still waits."""
    claimed = running(service)
    with pytest.raises(AlreadyComplete):
        service.cancel(claimed.job_id, only_pending=True, now=NOW)
    assert service.finish(claimed.job_id, claimed.claim, OUTCOME, now=NOW)


def test_a_waiting_job_is_not_spared(service: JobService) -> None:
    """…and that it does take."""
    job_id = submit(service)
    service.cancel(job_id, only_pending=True, now=NOW)
    assert row(service, job_id).status == Status.CANCELLED


def test_nobody_is_not_cancelled(service: JobService) -> None:
    """There is no such job."""
    with pytest.raises(JobNotFound):
        service.cancel("nobody", now=NOW)


@pytest.mark.parametrize("status", RETRYABLE)
def test_a_retry_starts_anew(service: JobService, status: Status) -> None:
    """A failed, cancelled or expired job waits again, with a full budget, no deadline and no error."""
    job_id = make(service, status, priority=2, has_successors=True)
    before = row(service, job_id)
    publication = service.retry(job_id, now=NOW + 60 * SECOND)
    job = row(service, job_id)
    assert (publication.publication, publication.due_at) == (job.publication, job.due_at)
    assert job.publication == before.publication + 1
    assert (job.status, job.attempts, job.claim) == (Status.PENDING, 0, before.claim)
    assert (job.released_at, job.due_at) == (NOW + 60 * SECOND, NOW + 120 * SECOND)
    assert (job.deadline_at, job.not_before, job.started_at, job.completed_at) == (None, None, None, None)
    assert (job.error_code, job.error_message, job.successors_pending) == (None, None, False)
    assert (job.created_at, job.priority, job.has_successors) == (NOW, 2, True)


def test_a_retried_job_runs_like_any_other(service: JobService) -> None:
    """The text that a given-up run had left makes room for the new result."""
    claimed = running(service)
    service.fail_attempt(claimed, Failure("generation_aborted", "…", text="la la"), worker=WORKER, now=NOW)
    service.retry(claimed.job_id, now=NOW)
    assert result(service, claimed.job_id) is None
    claimed = claim(service, claimed.job_id)
    assert service.finish(claimed.job_id, claimed.claim, OUTCOME, now=NOW)
    stored = result(service, claimed.job_id)
    assert stored is not None
    assert stored.result_data == "It scatters."


def test_a_retry_has_the_whole_budget(service: JobService) -> None:
    """It may fail as often as a new job, and the record keeps the runs of both lives."""
    job_id = submit(service)
    for _ in range(2):
        for _ in range(3):
            status = service.fail_attempt(claim(service, job_id), FAILURE, worker=WORKER, now=NOW)
        assert status is Status.FAILED
        service.retry(job_id, now=NOW)
    assert [attempt.claim for attempt in attempts(service, job_id)] == [1, 2, 3, 4, 5, 6]


def test_an_old_message_does_not_start_a_retried_job(service: JobService) -> None:
    """The message of before the cancel may still lie in a queue."""
    job_id = make(service, Status.CANCELLED)
    service.retry(job_id, now=NOW)
    assert service.claim(job_id, publication=1, worker=WORKER, now=NOW) is None


@pytest.mark.parametrize("status", [Status.PENDING, Status.PROCESSING, Status.COMPLETED])
def test_only_what_ended_without_success_is_retried(service: JobService, status: Status) -> None:
    """A job on its way needs no retry, and a completed one gets none."""
    job_id = make(service, status)
    with pytest.raises(JobsError, match=status):
        service.retry(job_id, now=NOW)
    assert row(service, job_id).status == status


def test_a_refused_retry_keeps_the_result(service: JobService) -> None:
    """A completed job's answer is not lost to somebody's retry."""
    job_id = make(service, Status.COMPLETED)
    with pytest.raises(AlreadyComplete):
        service.retry(job_id, now=NOW)
    assert result(service, job_id) is not None


def test_nobody_is_not_retried(service: JobService) -> None:
    """There is no such job."""
    with pytest.raises(JobNotFound):
        service.retry("nobody", now=NOW)
