"""A job's timeline, told by its row, its failed attempts and what was kept."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from jobs.history import Moment, Span, read_history, spans
from jobs.housekeeping import purge_completed, release_due, republish
from jobs.models import HistoryEntry, Job
from jobs.reaping import reap_expired
from jobs.records import Outcome
from jobs.service import JobService
from jobs.states import Status
from tests.support.jobs import FAILURE, LEASE, NOW, OUTCOME, SECOND, WORKER, claim, make, running, submit


def history(service: JobService, job_id: str) -> list[Moment]:
    with service.database.reading() as session:
        return read_history(session, session.get_one(Job, job_id))


def story(service: JobService, job_id: str) -> list[tuple[str, float]]:
    """Each event with its seconds since NOW."""
    return [(moment.event, (moment.at - NOW).total_seconds()) for moment in history(service, job_id)]


def kept(service: JobService) -> int:
    with service.database.reading() as session:
        return session.execute(select(func.count()).select_from(HistoryEntry)).scalar_one()


def test_the_usual_job_is_told_by_its_row(service: JobService) -> None:
    """Submitted, run and completed: nothing is written besides."""
    job_id = submit(service)
    run = claim(service, job_id, now=NOW + SECOND)
    outcome = Outcome({}, "x", 3.0, load_seconds=1.0, first_token_seconds=1.5)
    assert service.finish(job_id, run.claim, outcome, now=NOW + 4 * SECOND)
    assert story(service, job_id) == [
        ("submitted", 0.0),
        ("released", 0.0),
        ("published", 0.0),
        ("claimed", 1.0),
        ("model_loaded", 2.0),
        ("first_token", 2.5),
        ("completed", 4.0),
    ]
    claimed = history(service, job_id)[3]
    assert claimed.detail == {"worker": WORKER, "claim": 1}
    assert kept(service) == 0


@pytest.mark.parametrize("status", [Status.CANCELLED, Status.EXPIRED, Status.FAILED])
def test_an_end_says_why(service: JobService, status: Status) -> None:
    """The last moment is the end, with its reason."""
    last = history(service, make(service, status))[-1]
    assert (last.event, last.at) == (status, NOW + SECOND)
    assert last.detail["code"]


def test_a_retry_after_a_failure(service: JobService) -> None:
    """The first run is told by its attempt, its release and message by what was kept."""
    job_id = submit(service)
    service.fail_attempt(claim(service, job_id), FAILURE, worker=WORKER, now=NOW + SECOND)
    release_due(service, now=NOW + 3 * SECOND)
    claim(service, job_id, now=NOW + 4 * SECOND)
    assert story(service, job_id) == [
        ("submitted", 0.0),
        ("released", 0.0),
        ("published", 0.0),
        ("claimed", 0.0),
        ("attempt_failed", 1.0),
        ("released", 3.0),
        ("published", 3.0),
        ("claimed", 4.0),
    ]
    numbers = [m.detail.get("claim") or m.detail.get("publication") for m in history(service, job_id)]
    assert [number for number in numbers if number] == [1, 1, 1, 2, 2]


def test_a_stale_failure_keeps_nothing(service: JobService) -> None:
    """A run that is no longer the job's leaves no trace."""
    run = running(service)
    service.hand_back(run.job_id, run.claim, now=NOW)
    before = kept(service)
    assert service.fail_attempt(run, FAILURE, worker=WORKER, now=NOW) is None
    claim(service, run.job_id)
    assert service.fail_attempt(run, FAILURE, worker=WORKER, now=NOW) is None
    assert kept(service) == before


def test_a_lost_worker(service: JobService) -> None:
    """Its run began, and ended when the job was taken back."""
    run = running(service)
    later = NOW + LEASE + SECOND
    reap_expired(service, now=later)
    events = [moment.event for moment in history(service, run.job_id)]
    assert events == ["submitted", "released", "published", "claimed", "worker_lost", "published"]


@pytest.mark.parametrize("reason", ["outage", "drain", "overlap"])
def test_a_run_that_is_handed_back(service: JobService, reason: str) -> None:
    """The run stays in the history though it cost no attempt."""
    run = running(service)
    assert service.hand_back(run.job_id, run.claim, reason=reason, now=NOW + SECOND)
    claim(service, run.job_id, now=NOW + 2 * SECOND)
    found = history(service, run.job_id)
    assert [moment.event for moment in found] == [
        *("submitted", "released", "published", "claimed"),
        *("handed_back", "published", "claimed"),
    ]
    assert found[4].detail == {"worker": WORKER, "claim": 1, "reason": reason}


def test_a_lost_message(service: JobService) -> None:
    """Both publications are told."""
    job_id = submit(service)
    assert republish(service, {job_id: 1}, now=NOW + SECOND)
    assert republish(service, {job_id: 1}, now=NOW + SECOND) == []
    assert story(service, job_id)[2:] == [("published", 0.0), ("published", 1.0)]


def test_a_job_that_is_run_again_after_its_end(service: JobService) -> None:
    """Its first life stays in the history, once."""
    job_id = make(service, Status.FAILED)
    service.retry(job_id, now=NOW + 5 * SECOND)
    again = claim(service, job_id, now=NOW + 6 * SECOND)
    service.finish(job_id, again.claim, OUTCOME, now=NOW + 8 * SECOND)
    assert [event for event, _ in story(service, job_id)] == [
        *("submitted", "released", "published", "claimed", "attempt_failed", "failed"),
        *("retried", "released", "published", "claimed", "model_loaded", "completed"),
    ]


def test_purging_takes_the_history_along(service: JobService) -> None:
    """Nothing of a purged job stays."""
    job_id = make(service, Status.CANCELLED)
    service.retry(job_id, now=NOW)
    service.cancel(job_id, now=NOW)
    assert kept(service) > 0
    assert purge_completed(service, older_than_seconds=1.0, now=NOW + timedelta(days=1)) == 1
    assert kept(service) == 0


def test_spans_of_a_job_that_runs(service: JobService) -> None:
    """Waiting until it was claimed; what lasts has no end."""
    job_id = submit(service)
    claim(service, job_id, now=NOW + SECOND)
    assert spans(history(service, job_id)) == [
        Span("waiting", NOW, NOW + SECOND),
        Span("running", NOW + SECOND, None),
    ]


def test_spans_of_a_job_with_two_runs(service: JobService) -> None:
    """Each run and each wait; of the run that completed, its load apart."""
    run = running(service)
    service.hand_back(run.job_id, run.claim, now=NOW + SECOND)
    again = claim(service, run.job_id, now=NOW + 2 * SECOND)
    service.finish(run.job_id, again.claim, OUTCOME, now=NOW + 4 * SECOND)
    found = spans(history(service, run.job_id))
    assert [(span.name, (span.began_at - NOW).total_seconds()) for span in found] == [
        ("waiting", 0.0),
        ("running", 0.0),
        ("waiting", 1.0),
        ("loading", 2.0),
        ("running", 2.25),
    ]
    assert found[-1].ended_at == NOW + 4 * SECOND
