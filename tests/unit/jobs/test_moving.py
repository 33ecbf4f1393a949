"""A pending job gets another priority."""

import pytest

from jobs.errors import AlreadyComplete, JobNotFound, NotPending
from jobs.housekeeping import release_due
from jobs.service import JobService
from jobs.states import Status
from tests.support.jobs import NOW, SECOND, WORKER, make, row, submit


def test_a_moved_job_is_published_anew(service: JobService) -> None:
    """As if it had been submitted so: its age stays, and the message before is void."""
    job_id = submit(service, priority=5)
    publication = service.change_priority(job_id, 1, now=NOW + 10 * SECOND)
    assert publication is not None
    assert (publication.publication, publication.due_at) == (2, NOW + 30 * SECOND)
    job = row(service, job_id)
    assert (job.priority, job.due_at, job.released_at) == (1, NOW + 30 * SECOND, NOW)
    assert service.claim(job_id, publication=1, worker=WORKER, now=NOW) is None
    assert service.claim(job_id, publication=2, worker=WORKER, now=NOW) is not None


def test_a_job_may_sink(service: JobService) -> None:
    """Less urgent is possible as well."""
    job_id = submit(service, priority="urgent")
    publication = service.change_priority(job_id, 9, now=NOW)
    assert publication is not None
    assert publication.due_at == NOW + 270 * SECOND


def test_the_same_priority_changes_nothing(service: JobService) -> None:
    """No new message, so the job keeps its place."""
    job_id = submit(service, priority=5)
    assert service.change_priority(job_id, 5, now=NOW) is None
    assert row(service, job_id).publication == 1


def test_a_job_that_is_not_released_yet(service: JobService) -> None:
    """It is not published now; its release follows the new priority."""
    job_id = submit(service, delay_seconds=5.0)
    assert service.change_priority(job_id, 0, now=NOW) is None
    (released,) = release_due(service, now=NOW + 6 * SECOND)
    assert (released.job_id, released.due_at) == (job_id, NOW + 6 * SECOND)


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.PENDING])
def test_only_a_pending_job_is_moved(service: JobService, status: Status) -> None:
    """One that runs or has ended stays as it is, and so does an unknown one."""
    job_id = make(service, status)
    before = row(service, job_id).publication
    with pytest.raises(NotPending if status is Status.PROCESSING else AlreadyComplete):
        service.change_priority(job_id, 0, now=NOW)
    assert (row(service, job_id).priority, row(service, job_id).publication) == (5, before)


def test_an_unknown_job_is_not_moved(service: JobService) -> None:
    """There is nothing to move."""
    with pytest.raises(JobNotFound):
        service.change_priority("nobody", 0)
