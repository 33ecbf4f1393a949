"""What the keeper does: ways back for what failed, was lost or is late."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from jobs import housekeeping
from jobs.housekeeping import (
    expire_due,
    published_before,
    purge_completed,
    release_due,
    republish,
    untold_successors,
)
from jobs.instants import utc_now
from jobs.models import Attempt, Job, JobPayload, JobResult
from jobs.records import Publication
from jobs.service import JobService
from jobs.states import Status
from tests.support.jobs import (
    FAILURE,
    NOW,
    OUTCOME,
    SECOND,
    WORKER,
    claim,
    make,
    row,
    running,
    submit,
)

DAY = timedelta(days=1)


@pytest.fixture
def batch_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two rows a run."""
    monkeypatch.setattr(housekeeping, "BATCH", 2)


# --- release ----------------------------------------------------------------------------------------


def test_a_delayed_job_is_released_when_its_time_comes(service: JobService) -> None:
    """It ages from then on, and gets its first message."""
    job_id = submit(service, delay_seconds=60.0, priority=1)
    assert release_due(service, now=NOW + timedelta(seconds=59.999)) == []
    moment = NOW + 60 * SECOND
    assert release_due(service, now=moment) == [
        Publication(job_id, 1, "tasks.generate", "alpha", "k1", moment + 30 * SECOND, 1)
    ]
    job = row(service, job_id)
    assert (job.not_before, job.released_at, job.published_at) == (None, moment, moment)
    assert job.due_at == moment + 30 * SECOND


def test_a_failed_attempt_is_released_after_its_back_off(service: JobService) -> None:
    """Under a new publication: the message of the failed run is void."""
    claimed = running(service)
    service.fail_attempt(claimed, FAILURE, worker=WORKER, now=NOW)
    assert release_due(service, now=NOW + SECOND) == []
    (publication,) = release_due(service, now=NOW + 2 * SECOND)
    assert (publication.job_id, publication.publication) == (claimed.job_id, 2)


def test_a_job_is_released_once(service: JobService) -> None:
    """The second pass finds nothing."""
    submit(service, delay_seconds=1.0)
    assert len(release_due(service, now=NOW + SECOND)) == 1
    assert release_due(service, now=NOW + SECOND) == []


def test_a_cancelled_job_is_not_released(service: JobService) -> None:
    """Whatever its moment was."""
    job_id = submit(service, delay_seconds=1.0)
    service.cancel(job_id, now=NOW)
    assert release_due(service, now=NOW + 2 * SECOND) == []


@pytest.mark.usefixtures("batch_of_two")
def test_who_waited_longest_is_released_first(service: JobService) -> None:
    """A pass takes a batch, in the order of the jobs' moments."""
    late, first, second = (submit(service, delay_seconds=seconds) for seconds in (3.0, 1.0, 2.0))
    moment = NOW + 5 * SECOND
    assert {publication.job_id for publication in release_due(service, now=moment)} == {first, second}
    assert [publication.job_id for publication in release_due(service, now=moment)] == [late]


# --- republish --------------------------------------------------------------------------------------


def test_a_lost_message_is_published_again(service: JobService) -> None:
    """Under a new number; the job keeps its place."""
    job_id = submit(service)
    (publication,) = republish(service, {job_id: 1}, now=NOW + SECOND)
    assert (publication.publication, publication.due_at) == (2, NOW + 150 * SECOND)
    job = row(service, job_id)
    assert (job.publication, job.published_at, job.released_at) == (2, NOW + SECOND, NOW)


def test_only_what_was_seen_lost_is_published_again(service: JobService) -> None:
    """Somebody who was first has published another one meanwhile."""
    job_id = submit(service)
    republish(service, {job_id: 1}, now=NOW)
    assert republish(service, {job_id: 1}, now=NOW) == []
    assert row(service, job_id).publication == 2


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.PENDING])
def test_only_a_pending_job_is_published_again(service: JobService, status: Status) -> None:
    """One that was claimed in between needs no message."""
    assert republish(service, {make(service, status): 1}, now=NOW) == []


def test_a_job_that_waits_for_its_back_off_is_not_published(service: JobService) -> None:
    """Its message was consumed, not lost."""
    claimed = running(service)
    service.fail_attempt(claimed, FAILURE, worker=WORKER, now=NOW)
    assert republish(service, {claimed.job_id: 1}, now=NOW) == []


def test_of_two_who_publish_again_one_wins(service: JobService) -> None:
    """Two keepers that both miss a message send one."""
    job_id = submit(service)
    together = threading.Barrier(2)
    won: list[list[Publication]] = []

    def try_it() -> None:
        together.wait(10)
        won.append(republish(service, {job_id: 1}))

    threads = [threading.Thread(target=try_it) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(len(publications) for publications in won) == [0, 1]


def test_messages_are_looked_for_after_a_while(service: JobService) -> None:
    """Only released pending jobs whose message was sent some seconds ago, the longest ago first."""
    now = utc_now()
    young = submit(service, now=now)
    old = submit(service, now=now - 10 * SECOND)
    older = submit(service, now=now - 20 * SECOND)
    for status in Status:
        if status is not Status.PENDING:
            make(service, status)
    submit(service, delay_seconds=60.0, now=now - 10 * SECOND)
    assert [found.job_id for found in published_before(service, seconds_ago=5, limit=9)] == [older, old]
    assert [found.job_id for found in published_before(service, seconds_ago=5, limit=1)] == [older]
    assert young not in {found.job_id for found in published_before(service, seconds_ago=5, limit=9)}


# --- expire -----------------------------------------------------------------------------------------


def test_what_has_not_started_by_its_deadline_expires(service: JobService) -> None:
    """At the moment of the deadline, and not before."""
    job_id = submit(service, deadline_seconds=10.0, has_successors=True)
    assert expire_due(service, now=NOW + timedelta(seconds=9.999)) == []
    assert expire_due(service, now=NOW + 10 * SECOND) == [job_id]
    job = row(service, job_id)
    assert (job.status, job.completed_at) == (Status.EXPIRED, NOW + 10 * SECOND)
    assert (job.error_code, job.successors_pending) == ("expired", True)
    assert expire_due(service, now=NOW + 10 * SECOND) == []


def test_a_job_that_runs_does_not_expire(service: JobService) -> None:
    """The deadline is for the start."""
    running(service, deadline_seconds=10.0)
    assert expire_due(service, now=NOW + 60 * SECOND) == []


def test_a_job_that_was_never_released_expires_too(service: JobService) -> None:
    """Also while it waits for its countdown."""
    job_id = submit(service, deadline_seconds=10.0, delay_seconds=60.0)
    assert expire_due(service, now=NOW + 10 * SECOND) == [job_id]


@pytest.mark.usefixtures("batch_of_two")
def test_a_pass_of_expiry_is_limited(service: JobService) -> None:
    """A batch at a time."""
    for _ in range(3):
        submit(service, deadline_seconds=1.0)
    assert [len(expire_due(service, now=NOW + SECOND)) for _ in range(3)] == [2, 1, 0]


# --- purge ------------------------------------------------------------------------------------------


def test_what_ended_long_ago_is_deleted(service: JobService) -> None:
    """With its input, result and attempts; what is younger or on its way stays."""
    old = [make(service, status) for status in (Status.COMPLETED, Status.FAILED, Status.CANCELLED)]
    waiting = submit(service)
    young = submit(service, now=NOW + DAY)
    assert service.finish(young, claim(service, young).claim, OUTCOME, now=NOW + DAY)
    ran_long = submit(service)
    assert service.finish(ran_long, claim(service, ran_long).claim, OUTCOME, now=NOW + DAY)
    moment = NOW + DAY + 2 * SECOND
    assert purge_completed(service, older_than_seconds=24 * 3600.0, now=moment) == len(old)
    with service.database.reading() as session:
        assert set(session.scalars(select(Job.id))) == {waiting, young, ran_long}
        assert set(session.scalars(select(JobPayload.job_id))) == {waiting, young, ran_long}
        assert set(session.scalars(select(JobResult.job_id))) == {young, ran_long}
        assert session.scalar(select(func.count()).select_from(Attempt)) == 0


def test_nothing_to_delete_is_fine(service: JobService) -> None:
    """A new installation has no old jobs."""
    assert purge_completed(service, older_than_seconds=1.0, now=NOW) == 0


@pytest.mark.usefixtures("batch_of_two")
def test_a_pass_of_the_purge_is_limited(service: JobService) -> None:
    """A batch at a time, so that submits get in between."""
    for _ in range(3):
        make(service, Status.COMPLETED)
    passes = [purge_completed(service, older_than_seconds=60.0, now=NOW + DAY) for _ in range(3)]
    assert passes == [2, 1, 0]


# --- successors -------------------------------------------------------------------------------------


def test_successors_that_were_not_told_are_found(service: JobService) -> None:
    """Jobs that ended a while ago, with how they ended and what Celery needs; told ones are not."""
    canvas = {"link": [{"task": "t"}]}
    job_id = make(service, Status.COMPLETED, has_successors=True, canvas=canvas)
    told = make(service, Status.COMPLETED, has_successors=True)
    service.successors_sent(told)
    make(service, Status.COMPLETED)
    make(service, Status.PROCESSING, has_successors=True)
    (untold,) = untold_successors(service, seconds_ago=3.0)
    assert vars(untold) == {
        "job_id": job_id,
        "task": "tasks.generate",
        "status": Status.COMPLETED,
        "canvas": canvas,
    }


def test_the_child_that_finished_has_a_while_to_tell(service: JobService) -> None:
    """The keeper does not come in between."""
    claimed = running(service, has_successors=True)
    service.finish(claimed.job_id, claimed.claim, OUTCOME)
    assert untold_successors(service, seconds_ago=3600.0) == []
