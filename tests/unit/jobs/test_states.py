"""The table of states, and whether the service keeps to it."""

from collections.abc import Callable

import pytest

from jobs.errors import JobsError
from jobs.housekeeping import expire_due, release_due, republish
from jobs.reaping import reap_expired
from jobs.records import Claimed
from jobs.service import JobService
from jobs.states import FINAL, TRANSITIONS, Status, sources_of
from tests.support.jobs import (
    FAILURE,
    FINAL_FAILURE,
    LEASE,
    NOW,
    OUTCOME,
    SECOND,
    WORKER,
    make,
    row,
    submit,
)

LATE = NOW + LEASE + SECOND


def _claimed(service: JobService, job_id: str) -> Claimed:
    """What the last run of this job would hold in its hands."""
    job = row(service, job_id)
    started_at = job.started_at or NOW
    of_job = (job.task, job.kind, job.model, job.key_id, 5)
    return Claimed(
        job_id,
        job.claim,
        started_at,
        *of_job,
        needs_next=False,
        attempts=0,
        worker_losses=0,
        timeout_seconds=None,
        input={},
        canvas=None,
    )


def _claim(service: JobService, job_id: str) -> None:
    publication = row(service, job_id).publication
    service.claim(job_id, publication=publication, worker="w2", now=NOW)


def _finish(service: JobService, job_id: str) -> None:
    service.finish(job_id, _claimed(service, job_id).claim, OUTCOME, now=LATE)


def _fail(service: JobService, job_id: str) -> None:
    service.fail_attempt(_claimed(service, job_id), FAILURE, worker=WORKER, now=LATE)


def _fail_for_good(service: JobService, job_id: str) -> None:
    service.fail_attempt(_claimed(service, job_id), FINAL_FAILURE, worker=WORKER, now=LATE)


def _hand_back(service: JobService, job_id: str) -> None:
    service.hand_back(job_id, _claimed(service, job_id).claim, now=LATE)


def _cancel(service: JobService, job_id: str) -> None:
    service.cancel(job_id, now=LATE)


def _retry(service: JobService, job_id: str) -> None:
    service.retry(job_id, now=LATE)


def _renew(service: JobService, job_id: str) -> None:
    service.renew(job_id, _claimed(service, job_id).claim, now=LATE)


def _reap(service: JobService, job_id: str) -> None:
    reap_expired(service, now=LATE)


def _expire(service: JobService, job_id: str) -> None:
    expire_due(service, now=LATE)


def _republish(service: JobService, job_id: str) -> None:
    republish(service, {job_id: row(service, job_id).publication}, now=LATE)


def _release(service: JobService, job_id: str) -> None:
    release_due(service, now=LATE)


def _submit_again(service: JobService, job_id: str) -> None:
    submit(service, job_id=job_id)


def _tell_successors(service: JobService, job_id: str) -> None:
    service.successors_sent(job_id)


P, R, C, F, X, E = Status  # in the order of their definition

# What each operation makes of a job; a state that is not named stays.
OPERATIONS: dict[Callable[[JobService, str], None], dict[Status, Status]] = {
    _claim: {P: R},
    _finish: {R: C},
    _fail: {R: P},
    _fail_for_good: {R: F},
    _hand_back: {R: P},
    _cancel: {P: X, R: X},
    _retry: {F: P, X: P, E: P},
    _renew: {},
    _reap: {R: P},
    _expire: {P: E},
    _republish: {},
    _release: {},
    _submit_again: {},
    _tell_successors: {},
}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.__name__.strip("_"))
@pytest.mark.parametrize("status", Status)
def test_each_operation_goes_where_the_table_says(
    service: JobService, operation: Callable[[JobService, str], None], status: Status
) -> None:
    """From every state, every operation either takes its one way or changes nothing at all."""
    # A deadline that has passed by LATE, but no attempt is late by itself: `make` acts at once.
    job_id = make(service, status, deadline_seconds=1.0)
    before = vars(row(service, job_id))
    try:
        operation(service, job_id)
    except JobsError:
        assert status not in OPERATIONS[operation]
    after = vars(row(service, job_id))
    assert after["status"] == OPERATIONS[operation].get(status, status)
    if status in FINAL and status not in OPERATIONS[operation]:
        assert {k: v for k, v in after.items() if k[0] != "_"} == {
            k: v for k, v in before.items() if k[0] != "_"
        }


def test_the_table_is_what_the_operations_do() -> None:
    """No way is missing from TRANSITIONS, and none is in it that nothing takes."""
    taken = {(source, target) for ways in OPERATIONS.values() for source, target in ways.items()}
    assert taken == {(source, target) for source, targets in TRANSITIONS.items() for target in targets}


def test_the_final_states_are_complete() -> None:
    """`is_complete` is true in the last four."""
    assert [status.is_complete for status in Status] == [False, False, True, True, True, True]


@pytest.mark.parametrize(
    ("target", "sources"),
    [(P, {R, F, X, E}), (R, {P}), (C, {R}), (F, {R}), (X, {P, R}), (E, {P})],
)
def test_the_ways_into_a_state(target: Status, sources: set[Status]) -> None:
    """`sources_of` reads the table backwards."""
    assert sources_of(target) == sources
