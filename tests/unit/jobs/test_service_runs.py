"""A run: claimed by one, renewed, and ended by the one who still has it."""

import threading
from datetime import timedelta

import pytest

from jobs.reaping import reap_expired
from jobs.records import Claimed, Failure, Outcome, Policy
from jobs.service import JobService
from jobs.states import Status
from tests.support.jobs import (
    FAILURE,
    FINAL_FAILURE,
    LEASE,
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

# --- claim ------------------------------------------------------------------------------------------


def test_a_claim_takes_the_job(service: JobService) -> None:
    """The job runs, under the worker's name, with a lease."""
    job_id = submit(service)
    claimed = service.claim(job_id, publication=1, worker=WORKER, now=NOW + SECOND)
    assert claimed is not None
    job = row(service, job_id)
    assert (job.status, job.claim, job.worker) == (Status.PROCESSING, 1, WORKER)
    assert (job.started_at, job.lease_until) == (NOW + SECOND, NOW + SECOND + LEASE)


def test_a_claim_brings_all_that_a_run_needs(service: JobService) -> None:
    """Input and canvas come from the row, since the message has neither."""
    canvas = {"chain": [{"task": "tasks.embed"}]}
    job_id = submit(service, messages=[{"role": "user", "content": "Hi"}], prompt=None, canvas=canvas)
    claimed = claim(service, job_id)
    assert claimed is not None
    assert claimed.started_at == row(service, job_id).started_at
    assert claimed == Claimed(
        job_id=job_id,
        claim=1,
        started_at=claimed.started_at,
        task="tasks.chat",
        kind="chat",
        model="alpha",
        key_id="k1",
        priority=5,
        needs_next=False,
        attempts=0,
        worker_losses=0,
        timeout_seconds=None,
        input={"messages": [{"role": "user", "content": "Hi"}]},
        canvas=canvas,
    )


def test_a_job_is_claimed_once(service: JobService) -> None:
    """A duplicate of the message is void."""
    job_id = submit(service)
    claim(service, job_id)
    assert service.claim(job_id, publication=1, worker="w2", now=NOW) is None
    assert row(service, job_id).worker == WORKER


@pytest.mark.parametrize("publication", [0, 1, 3])
def test_only_the_current_publication_counts(service: JobService, publication: int) -> None:
    """A message from before, or one that nobody published, takes nothing."""
    claimed = running(service)
    service.hand_back(claimed.job_id, claimed.claim, now=NOW)
    assert row(service, claimed.job_id).publication == 2
    assert service.claim(claimed.job_id, publication=publication, worker=WORKER, now=NOW) is None


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.PENDING])
def test_only_a_pending_job_is_claimed(service: JobService, status: Status) -> None:
    """Whatever runs or has ended stays as it is."""
    job_id = make(service, status)
    assert service.claim(job_id, publication=1, worker="w2", now=NOW) is None
    assert row(service, job_id).status == status


def test_an_unknown_job_is_not_claimed(service: JobService) -> None:
    """A message about a job that is gone is void."""
    assert service.claim("nobody", publication=1, worker=WORKER, now=NOW) is None


def test_a_job_starts_before_its_deadline_only(service: JobService) -> None:
    """At the very moment of its deadline it is too late."""
    job_id = submit(service, deadline_seconds=10.0)
    assert service.claim(job_id, publication=1, worker=WORKER, now=NOW + 10 * SECOND) is None
    assert row(service, job_id).status == Status.PENDING
    before = NOW + timedelta(seconds=9.999)
    assert service.claim(job_id, publication=1, worker=WORKER, now=before) is not None


def test_the_claim_number_grows_with_each_run(service: JobService) -> None:
    """It is the fencing token, so it never comes back, not even after a retry by hand."""
    claimed = running(service)
    numbers = [claimed.claim]
    service.hand_back(claimed.job_id, claimed.claim, now=NOW)
    claimed = claim(service, claimed.job_id)
    numbers.append(claimed.claim)
    service.fail_attempt(claimed, FINAL_FAILURE, worker=WORKER, now=NOW)
    service.retry(claimed.job_id, now=NOW)
    numbers.append(claim(service, claimed.job_id).claim)
    assert numbers == [1, 2, 3]


@pytest.mark.parametrize("round_", range(5))
def test_of_two_who_claim_at_once_one_wins(service: JobService, round_: int) -> None:
    """Two children with the same message never both run it."""
    job_id = submit(service)
    together = threading.Barrier(2)
    won: list[Claimed] = []

    def try_it(worker: str) -> None:
        together.wait(10)
        claimed = service.claim(job_id, publication=1, worker=worker)
        if claimed is not None:
            won.append(claimed)

    threads = [threading.Thread(target=try_it, args=(f"w{number}",)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [claimed.claim for claimed in won] == [1]


# --- renew ------------------------------------------------------------------------------------------


def test_a_renewal_extends_the_lease(service: JobService) -> None:
    """From the moment of the renewal on."""
    claimed = running(service)
    assert service.renew(claimed.job_id, claimed.claim, now=NOW + 2 * SECOND)
    assert row(service, claimed.job_id).lease_until == NOW + 2 * SECOND + LEASE


def test_a_lapsed_lease_is_revived(service: JobService) -> None:
    """A worker that slept too long keeps its job, as long as nobody took it."""
    claimed = running(service)
    late = NOW + 100 * LEASE
    assert service.renew(claimed.job_id, claimed.claim, now=late)
    assert reap_expired(service, now=late + SECOND) == ([], [])


def test_a_renewal_learns_of_a_cancel(service: JobService) -> None:
    """False: the run is no longer the job's."""
    claimed = running(service)
    service.cancel(claimed.job_id, now=NOW)
    assert not service.renew(claimed.job_id, claimed.claim, now=NOW)
    assert row(service, claimed.job_id).lease_until is None


def test_a_renewal_learns_that_the_job_was_taken_back(service: JobService) -> None:
    """The same after the reaper came, and also when another worker runs it by then."""
    claimed = running(service)
    reap_expired(service, now=NOW + LEASE + SECOND)
    assert not service.renew(claimed.job_id, claimed.claim, now=NOW)
    second = claim(service, claimed.job_id, worker="w2")
    assert not service.renew(claimed.job_id, claimed.claim, now=NOW)
    assert service.renew(claimed.job_id, second.claim, now=NOW)


# --- finish -----------------------------------------------------------------------------------------


def test_a_finished_job_is_completed(service: JobService) -> None:
    """Row and result say what came out."""
    claimed = running(service)
    assert service.finish(claimed.job_id, claimed.claim, OUTCOME, now=NOW + SECOND)
    job = row(service, claimed.job_id)
    assert (job.status, job.completed_at, job.lease_until) == (Status.COMPLETED, NOW + SECOND, None)
    assert (job.processing_seconds, job.load_seconds, job.tokens_per_second) == (1.5, 0.25, 8.0)
    assert (job.prompt_tokens, job.output_tokens) == (7, 2)
    stored = result(service, claimed.job_id)
    assert stored is not None
    assert (stored.result, stored.result_data) == ({"done": True, "eval_count": 2}, "It scatters.")


@pytest.mark.parametrize("data", ["", "It scatters.", {"role": "assistant", "content": "Hi"}, [[0.5, -1e-9]]])
def test_every_kind_of_answer_is_kept(service: JobService, data: object) -> None:
    """A text, a message, embeddings; an empty text is an answer too."""
    claimed = running(service)
    service.finish(claimed.job_id, claimed.claim, Outcome({}, data, 1.0), now=NOW)
    stored = result(service, claimed.job_id)
    assert stored is not None
    assert stored.result_data == data


def test_a_stale_run_finishes_nothing(service: JobService) -> None:
    """Once the job runs elsewhere, the first run's answer is void and nothing of it is kept."""
    first = running(service)
    reap_expired(service, now=NOW + LEASE + SECOND)
    second = claim(service, first.job_id, worker="w2")
    assert not service.finish(first.job_id, first.claim, OUTCOME, now=NOW)
    job = row(service, first.job_id)
    assert (job.status, job.claim, job.completed_at) == (Status.PROCESSING, second.claim, None)
    assert result(service, first.job_id) is None


@pytest.mark.parametrize("status", [Status.PENDING, Status.COMPLETED, Status.CANCELLED, Status.EXPIRED])
def test_only_a_running_job_is_finished(service: JobService, status: Status) -> None:
    """An answer that comes after the end, or before a start, is void."""
    job_id = make(service, status)
    claim_number = row(service, job_id).claim
    before = result(service, job_id)
    assert not service.finish(job_id, claim_number, Outcome({}, "Too late.", 1.0), now=NOW)
    assert row(service, job_id).status == status
    after = result(service, job_id)
    assert (before and before.result_data) == (after and after.result_data)


def test_a_run_that_the_job_has_not_had_yet_finishes_nothing(service: JobService) -> None:
    """Only the claim number of now counts, not any that is high enough."""
    claimed = running(service)
    assert not service.finish(claimed.job_id, claimed.claim + 1, OUTCOME, now=NOW)
    assert not service.renew(claimed.job_id, claimed.claim + 1, now=NOW)
    assert row(service, claimed.job_id).status == Status.PROCESSING


def test_a_stale_run_is_fenced_even_when_the_job_is_back(service: JobService) -> None:
    """A run that was handed back can't finish the job that waits again."""
    claimed = running(service)
    service.hand_back(claimed.job_id, claimed.claim, now=NOW)
    assert not service.finish(claimed.job_id, claimed.claim, OUTCOME, now=NOW)
    assert row(service, claimed.job_id).status == Status.PENDING


@pytest.mark.parametrize("has_successors", [True, False])
def test_the_end_notes_whether_successors_wait(service: JobService, has_successors: bool) -> None:
    """What a crash between the end and Celery's links leaves unsent is known."""
    claimed = running(service, has_successors=has_successors)
    service.finish(claimed.job_id, claimed.claim, OUTCOME, now=NOW)
    assert row(service, claimed.job_id).successors_pending is has_successors


def test_successors_are_told_once(service: JobService) -> None:
    """Once they have been sent the note is gone."""
    job_id = make(service, Status.COMPLETED, has_successors=True)
    service.successors_sent(job_id)
    job = row(service, job_id)
    assert (job.successors_pending, job.has_successors) == (False, True)


def test_an_earlier_failure_is_forgotten_when_the_job_completes(service: JobService) -> None:
    """The row shows no error; the failed attempt stays on record."""
    claimed = running(service)
    service.fail_attempt(claimed, FINAL_FAILURE, worker=WORKER, now=NOW)
    service.retry(claimed.job_id, now=NOW)
    claimed = claim(service, claimed.job_id)
    assert service.finish(claimed.job_id, claimed.claim, OUTCOME, now=NOW)
    job = row(service, claimed.job_id)
    assert (job.error_code, job.error_message) == (None, None)
    assert len(attempts(service, claimed.job_id)) == 1


# --- fail -------------------------------------------------------------------------------------------


def test_a_failed_attempt_waits_by_the_schedule(service: JobService) -> None:
    """Back to pending, not released until 2, then 4 seconds later, and no message meanwhile."""
    job_id = submit(service)
    for count, wait in ((1, 2), (2, 4)):
        claimed = claim(service, job_id)
        assert service.fail_attempt(claimed, FAILURE, worker=WORKER, now=NOW) is Status.PENDING
        job = row(service, job_id)
        assert (job.status, job.attempts) == (Status.PENDING, count)
        assert (job.not_before, job.released_at, job.due_at) == (NOW + wait * SECOND, None, None)
        assert (job.lease_until, job.completed_at, job.error_code) == (None, None, None)


def test_the_last_attempt_fails_the_job(service: JobService) -> None:
    """After MAX_ATTEMPTS it is failed, with every attempt's reason on record."""
    job_id = submit(service, has_successors=True)
    for second in range(3):
        claimed = claim(service, job_id, now=NOW + second * SECOND, worker=f"w{second}")
        failure = Failure("server_error", f"Failure {second}.", is_retryable=True)
        status = service.fail_attempt(claimed, failure, worker=f"w{second}", now=NOW + (second + 1) * SECOND)
    assert status is Status.FAILED
    job = row(service, job_id)
    assert (job.status, job.attempts, job.completed_at) == (Status.FAILED, 3, NOW + 3 * SECOND)
    assert (job.error_code, job.error_message) == ("server_error", "Failure 2.")
    assert (job.lease_until, job.successors_pending) == (None, True)
    assert [
        (attempt.claim, attempt.worker, attempt.started_at, attempt.ended_at, attempt.code, attempt.message)
        for attempt in attempts(service, job_id)
    ] == [
        (
            number + 1,
            f"w{number}",
            NOW + number * SECOND,
            NOW + (number + 1) * SECOND,
            "server_error",
            f"Failure {number}.",
        )
        for number in range(3)
    ]


def test_what_can_not_be_repeated_fails_at_once(service: JobService) -> None:
    """A refused request costs one attempt."""
    claimed = running(service)
    assert service.fail_attempt(claimed, FINAL_FAILURE, worker=WORKER, now=NOW) is Status.FAILED
    assert row(service, claimed.job_id).attempts == 1


def test_an_aborted_generation_keeps_its_text(service: JobService) -> None:
    """What had been written until then is the job's result data."""
    claimed = running(service)
    failure = Failure("generation_aborted", "It repeated itself.", text="la la la")
    service.fail_attempt(claimed, failure, worker=WORKER, now=NOW)
    stored = result(service, claimed.job_id)
    assert stored is not None
    assert (stored.result, stored.result_data) == (None, "la la la")


def test_a_text_is_kept_only_of_the_end(service: JobService) -> None:
    """An attempt that is repeated leaves no result behind, or the next one could not store its own."""
    claimed = running(service)
    failure = Failure("generation_aborted", "…", is_retryable=True, text="la")
    assert service.fail_attempt(claimed, failure, worker=WORKER, now=NOW) is Status.PENDING
    assert result(service, claimed.job_id) is None


def test_a_stale_run_can_not_fail_the_job(service: JobService) -> None:
    """Neither the row nor the record of attempts knows of it."""
    first = running(service)
    service.hand_back(first.job_id, first.claim, now=NOW)
    second = claim(service, first.job_id)
    assert service.fail_attempt(first, FINAL_FAILURE, worker=WORKER, now=NOW) is None
    job = row(service, first.job_id)
    assert (job.status, job.claim, job.attempts) == (Status.PROCESSING, second.claim, 0)
    assert attempts(service, first.job_id) == []


def test_a_cancelled_run_can_not_fail_the_job(service: JobService) -> None:
    """Cancelled stays cancelled."""
    claimed = running(service)
    service.cancel(claimed.job_id, now=NOW)
    assert service.fail_attempt(claimed, FAILURE, worker=WORKER, now=NOW) is None
    assert row(service, claimed.job_id).status == Status.CANCELLED


def test_the_policy_says_how_often(service: JobService) -> None:
    """With one attempt there is no second."""
    strict = JobService(service.database, Policy(max_attempts=1))
    assert strict.fail_attempt(running(strict), FAILURE, worker=WORKER, now=NOW) is Status.FAILED


# --- hand back --------------------------------------------------------------------------------------


def test_handing_back_costs_no_attempt(service: JobService) -> None:
    """The job waits again where it stood, under a new publication."""
    claimed = running(service, priority=3)
    publication = service.hand_back(claimed.job_id, claimed.claim, now=NOW + SECOND)
    assert publication is not None
    assert (publication.publication, publication.due_at) == (2, NOW + 90 * SECOND)
    job = row(service, claimed.job_id)
    assert (job.status, job.attempts, job.publication) == (Status.PENDING, 0, 2)
    assert (job.released_at, job.published_at, job.lease_until) == (NOW, NOW + SECOND, None)
    assert attempts(service, claimed.job_id) == []


def test_a_stale_run_hands_nothing_back(service: JobService) -> None:
    """The job that runs elsewhere by now is left alone."""
    first = running(service)
    service.hand_back(first.job_id, first.claim, now=NOW)
    second = claim(service, first.job_id)
    assert service.hand_back(first.job_id, first.claim, now=NOW) is None
    job = row(service, first.job_id)
    assert (job.status, job.claim, job.publication) == (Status.PROCESSING, second.claim, 2)


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.CANCELLED])
def test_what_has_ended_is_not_handed_back(service: JobService, status: Status) -> None:
    """A drain that comes too late changes nothing."""
    job_id = make(service, status)
    assert service.hand_back(job_id, row(service, job_id).claim, now=NOW) is None
    assert row(service, job_id).status == status
