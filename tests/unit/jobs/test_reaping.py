"""Lost runs: their leases run out, the jobs go back, and only some of it is held against them."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs import reaping
from jobs.housekeeping import release_due
from jobs.reaping import cut_leases, reap_expired
from jobs.records import Policy
from jobs.service import JobService
from jobs.states import Status
from tests.support.jobs import (
    FAILURE,
    LEASE,
    NOW,
    OUTCOME,
    SECOND,
    WORKER,
    attempts,
    claim,
    row,
    running,
    submit,
)

LAPSED = NOW + LEASE + timedelta(microseconds=1)
GONE: Mapping[str, datetime] = {}
THERE = {WORKER: NOW - SECOND}  # since before the run began


def test_a_lost_lease_is_requeued(service: JobService) -> None:
    """A job whose worker stopped renewing goes back to its queue at the cost of an attempt."""
    claimed = running(service)
    again, failed = reap_expired(service, now=LAPSED)
    assert ([found.job_id for found in again], failed) == ([claimed.job_id], [])
    assert (again[0].publication, again[0].due_at) == (2, NOW + 150 * SECOND)
    job = row(service, claimed.job_id)
    assert (job.status, job.attempts, job.publication, job.lease_until) == (Status.PENDING, 1, 2, None)
    (attempt,) = attempts(service, claimed.job_id)
    assert (attempt.claim, attempt.code, attempt.worker) == (1, "worker_lost", WORKER)
    assert (attempt.started_at, attempt.ended_at) == (NOW, LAPSED)
    assert WORKER in attempt.message


def test_a_lease_holds_until_its_last_moment_beside_one_that_has_ended(service: JobService) -> None:
    """The look that finds something takes no more than has lapsed."""
    lapsed = running(service)
    just_so = claim(service, submit(service), now=LAPSED - LEASE)
    again, _ = reap_expired(service, now=LAPSED)
    assert [found.job_id for found in again] == [lapsed.job_id]
    assert row(service, just_so.job_id).status == Status.PROCESSING


def test_a_lease_holds_until_its_last_moment(service: JobService) -> None:
    """Nothing is taken back early."""
    claimed = running(service)
    assert reap_expired(service, now=NOW + LEASE) == ([], [])
    assert row(service, claimed.job_id).status == Status.PROCESSING


@pytest.mark.parametrize(("seconds", "count"), [(2.5, 1), (2.6, 0)])
def test_a_database_that_stood_still_lapses_no_lease(
    service: JobService, monkeypatch: pytest.MonkeyPatch, seconds: float, count: int
) -> None:
    """Its late answer says how long nobody could renew; the next look takes back what is still lapsed."""
    running(service)
    clock = iter([100.0, 100.0 + seconds, 200.0, 200.0])
    monkeypatch.setattr(reaping, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    assert len(reap_expired(service, now=LAPSED)[0]) == count
    assert len(reap_expired(service, now=LAPSED)[0]) == 1 - count


def test_a_lease_that_is_gone_is_reaped_once(service: JobService) -> None:
    """The second pass finds nothing."""
    running(service)
    reap_expired(service, now=LAPSED)
    assert reap_expired(service, now=LAPSED) == ([], [])


def test_the_leases_of_a_worker_that_seems_gone_end_soon(service: JobService) -> None:
    """Its own alone, none gets longer, and a run that is alive renews."""
    ours, alive, late = running(service), running(service), running(service)
    other = claim(service, submit(service), worker="w2@gpu")
    moment = NOW + 2 * SECOND
    assert cut_leases(service, WORKER, within_seconds=2.0, now=moment) == 3
    assert cut_leases(service, WORKER, within_seconds=2.5, now=moment) == 0
    assert row(service, ours.job_id).lease_until == NOW + 4 * SECOND
    assert row(service, other.job_id).lease_until == NOW + LEASE
    assert service.renew(alive.job_id, alive.claim, now=NOW + 3 * SECOND)
    again, _ = reap_expired(service, now=NOW + 4.1 * SECOND)
    assert {found.job_id for found in again} == {ours.job_id, late.job_id}


def test_a_pass_of_the_reaper_is_limited(service: JobService, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes the leases that ended first, and the rest the next time."""
    monkeypatch.setattr(reaping, "BATCH", 2)
    ended: list[str] = []
    for seconds in (2, 0, 1):
        job_id = submit(service)
        claim(service, job_id, now=NOW + seconds * SECOND)
        ended.append(job_id)
    last, *first = ended
    moment = NOW + 60 * SECOND
    assert {found.job_id for found in reap_expired(service, now=moment)[0]} == set(first)
    assert [found.job_id for found in reap_expired(service, now=moment)[0]] == [last]


# --- what is held against a job ---------------------------------------------------------------------


def lose(service: JobService, job_id: str, workers: Mapping[str, datetime]) -> list[str]:
    """Run the job and lose the run; the ids of the jobs that have failed by it."""
    claim(service, job_id)
    return reap_expired(service, working_since=lambda: workers, now=LAPSED)[1]


def test_a_job_that_kills_its_process_fails(service: JobService) -> None:
    """After the last attempt, though its worker goes on each time; and who waits for it is to be told."""
    job_id = submit(service, has_successors=True)
    assert [lose(service, job_id, THERE) for _ in range(3)] == [[], [], [job_id]]
    job = row(service, job_id)
    assert (job.status, job.attempts, job.worker_losses) == (Status.FAILED, 3, 0)
    assert (job.completed_at, job.lease_until, job.successors_pending) == (LAPSED, None, True)
    assert (job.error_code, job.error_message) == (
        "worker_lost",
        "The process that ran the job stopped; its worker w1@gpu is still there.",
    )
    assert len(attempts(service, job_id)) == 3


def test_a_storm_of_killed_workers_fails_no_job(service: JobService) -> None:
    """Each loss is counted and told, and the three attempts of its own are left."""
    job_id = submit(service)
    assert [lose(service, job_id, GONE) for _ in range(10)] == [[]] * 10
    assert [lose(service, job_id, THERE) for _ in range(2)] == [[], []]
    job = row(service, job_id)
    assert (job.status, job.attempts, job.worker_losses) == (Status.PENDING, 12, 10)
    assert attempts(service, job_id)[9].message == (
        "The worker w1@gpu stopped while it ran the job: loss 10, of which 10 are not held against the job."
    )
    assert service.finish(job_id, claim(service, job_id).claim, OUTCOME, now=NOW)


def test_a_job_that_is_there_whenever_a_worker_dies_fails(service: JobService) -> None:
    """In the end, or one that brings down its worker would do so for ever."""
    job_id = submit(service)
    assert [lose(service, job_id, GONE) for _ in range(11)] == [[]] * 10 + [[job_id]]
    job = row(service, job_id)
    assert (job.status, job.attempts, job.error_code) == (Status.FAILED, 11, "worker_lost")


@pytest.mark.parametrize(
    ("workers", "losses"),
    [
        ({WORKER: NOW}, 0),
        ({WORKER: NOW + SECOND}, 1),
        ({"w2@gpu": NOW - SECOND}, 1),
        ({}, 1),
    ],
    ids=["there", "started again", "another one", "gone"],
)
def test_a_worker_went_on_if_it_is_there_since_before_the_run(
    service: JobService, workers: Mapping[str, datetime], losses: int
) -> None:
    """One of the same name that began later has taken the place of the one that was lost."""
    job_id = submit(service)
    lose(service, job_id, workers)
    job = row(service, job_id)
    assert (job.status, job.attempts, job.worker_losses) == (Status.PENDING, 1, losses)


def test_workers_are_asked_for_only_when_a_run_is_lost(service: JobService) -> None:
    """The look itself is frequent and costs nothing more."""
    running(service)
    asked: list[bool] = []

    def ask() -> Mapping[str, datetime]:
        asked.append(True)
        return GONE

    assert reap_expired(service, working_since=ask, now=NOW) == ([], [])
    assert asked == []
    reap_expired(service, working_since=ask, now=LAPSED)
    assert asked == [True]


def test_what_fails_after_lost_workers_has_its_own_attempts(service: JobService) -> None:
    """And waits for its first back-off after its first failure."""
    job_id = submit(service)
    for _ in range(4):
        lose(service, job_id, GONE)
    for seconds in (2, 4):
        ended = service.fail_attempt(claim(service, job_id), FAILURE, worker=WORKER, now=NOW)
        assert (ended, row(service, job_id).not_before) == (Status.PENDING, NOW + seconds * SECOND)
        release_due(service, now=NOW + seconds * SECOND)
    ended = service.fail_attempt(claim(service, job_id), FAILURE, worker=WORKER, now=NOW)
    assert (ended, row(service, job_id).attempts) == (Status.FAILED, 7)


def test_a_job_that_may_run_once_does_not_run_again(service: JobService) -> None:
    """Whatever it was that ended its worker."""
    strict = JobService(service.database, Policy(max_attempts=1))
    job_id = submit(strict)
    assert lose(strict, job_id, GONE) == [job_id]


def test_an_explicit_retry_renews_both_budgets(service: JobService) -> None:
    """The job begins anew."""
    job_id = submit(service)
    for _ in range(11):
        lose(service, job_id, GONE)
    service.retry(job_id, now=NOW)
    job = row(service, job_id)
    assert (job.status, job.attempts, job.worker_losses) == (Status.PENDING, 0, 0)


@given(st.lists(st.booleans(), min_size=60, max_size=60), st.integers(1, 6))
def test_a_job_is_spent_when_one_budget_is_used_up_and_not_before(
    lost_with_worker: list[bool], most: int
) -> None:
    """In whatever order it befalls it: no job runs for ever, and none is given up for others' sake."""
    policy = Policy(max_attempts=most)
    for attempts_so_far in range(len(lost_with_worker)):
        losses = sum(lost_with_worker[:attempts_so_far])
        is_spent = policy.is_spent(attempts_so_far, losses)
        assert is_spent == (attempts_so_far - losses >= most or losses > 5 * (most - 1))
        if is_spent:
            break
    assert is_spent and attempts_so_far <= most + 5 * (most - 1)
