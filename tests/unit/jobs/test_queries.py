"""The read side: one job, many, and where a job stands."""

from datetime import timedelta

import pytest
from sqlalchemy import insert, inspect

from jobs.listing import JobFilter, list_jobs
from jobs.models import Job, Model
from jobs.positions import POSITION_CAP, queue_position, queue_positions
from jobs.queries import (
    JobView,
    count_pending,
    find_job,
    known_models,
    list_attempts,
    list_results,
    queue_seconds,
    read_status,
    view_job,
)
from jobs.records import Failure
from jobs.service import JobService
from jobs.states import Status
from tests.support.jobs import FAILURE, NOW, SECOND, WORKER, claim, make, row, running, submit


def _view(service: JobService, job_id: str, *, whole: bool = False) -> JobView:
    with service.database.reading() as session:
        job = find_job(session, job_id)
        assert job is not None
        return view_job(session, job, whole=whole)


def _position(service: JobService, job_id: str) -> int | None:
    with service.database.reading() as session:
        return queue_position(session.connection(), session.get_one(Job, job_id))


def _positions(service: JobService) -> dict[str, int]:
    with service.database.reading() as session:
        found, _ = list_jobs(session, JobFilter(), limit=5000)
        return queue_positions(session, found)


# --- one job ----------------------------------------------------------------------------------------


def test_a_waiting_job_is_shown_with_its_place(service: JobService) -> None:
    """It has no attempts, no result, and its input only where the whole is asked for."""
    job_id = submit(service)
    view = _view(service, job_id)
    assert (view.job.id, view.queue_position, view.attempts) == (job_id, 0, [])
    assert (view.input, view.result, view.result_data) == (None, None, None)
    assert _view(service, job_id, whole=True).input == {"prompt": "Why?"}


def test_a_completed_job_is_shown_with_its_answer(service: JobService) -> None:
    """Ollama's object is whole again, the answer inside."""
    job_id = make(service, Status.COMPLETED)
    assert _view(service, job_id).result_data == "It scatters."
    view = _view(service, job_id, whole=True)
    assert view.result == {"done": True, "eval_count": 2, "response": "It scatters."}
    assert (view.input, view.queue_position) == ({"prompt": "Why?"}, None)


def test_a_given_up_job_is_shown_with_its_text(service: JobService) -> None:
    """The text so far comes without an object of Ollama's."""
    claimed = running(service)
    service.fail_attempt(claimed, Failure("generation_aborted", "…", text="la la"), worker=WORKER, now=NOW)
    view = _view(service, claimed.job_id, whole=True)
    assert (view.result_data, view.result) == ("la la", None)


def test_failed_attempts_are_shown_in_their_order(service: JobService) -> None:
    """With the reason of each."""
    job_id = submit(service)
    for _ in range(2):
        service.fail_attempt(claim(service, job_id), FAILURE, worker=WORKER, now=NOW)
    assert [attempt.claim for attempt in _view(service, job_id).attempts] == [1, 2]


def test_a_status_alone(service: JobService) -> None:
    """None for a job that is not there."""
    job_id = make(service, Status.CANCELLED)
    with service.database.reading() as session:
        assert read_status(session, job_id) is Status.CANCELLED
        assert read_status(session, "nobody") is None
        assert find_job(session, "nobody") is None


def test_the_wait_is_counted_from_the_submission(service: JobService) -> None:
    """None before the start; never negative, though two hosts' clocks may disagree."""
    job_id = submit(service)
    assert queue_seconds(row(service, job_id)) is None
    claim(service, job_id, now=NOW + 3 * SECOND)
    assert queue_seconds(row(service, job_id)) == 3.0
    early = submit(service)
    claim(service, early, now=NOW - SECOND)
    assert queue_seconds(row(service, early)) == 0.0


# --- places -----------------------------------------------------------------------------------------


def test_a_place_counts_who_is_due_before(service: JobService) -> None:
    """Of the same model, released, and still waiting."""
    last = submit(service, priority=9)
    first = submit(service, priority=0)
    middle = submit(service, priority=5)
    submit(service, priority=0, model="beta")
    submit(service, priority=0, delay_seconds=60.0)
    running(service, priority=0)
    assert [_position(service, job_id) for job_id in (first, middle, last)] == [0, 1, 2]


def test_jobs_that_are_due_together_have_places_of_their_own(service: JobService) -> None:
    """A tie goes by the id, so by who came first."""
    jobs = [submit(service) for _ in range(4)]
    assert [_position(service, job_id) for job_id in jobs] == [0, 1, 2, 3]


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.PENDING])
def test_only_a_waiting_job_has_a_place(service: JobService, status: Status) -> None:
    """What runs or has ended stands in no line."""
    assert _position(service, make(service, status)) is None


def test_a_job_that_is_not_released_has_no_place(service: JobService) -> None:
    """Nobody knows yet when it will be due."""
    assert _position(service, submit(service, delay_seconds=60.0)) is None
    assert _positions(service) == {}


def test_places_are_counted_up_to_a_cap(service: JobService) -> None:
    """Behind it a place says only that the line is long."""
    pattern = row(service, submit(service, job_id="0000"))
    values = {c.key: getattr(pattern, c.key) for c in inspect(Job).column_attrs}
    jobs = [f"{number:04}" for number in range(1, POSITION_CAP + 3)]
    with service.database.writing() as session:
        session.execute(insert(Job), [values | {"id": job_id} for job_id in jobs])
    found = [_position(service, job_id) for job_id in jobs[-4:]]
    assert found == [POSITION_CAP - 1, POSITION_CAP, POSITION_CAP, POSITION_CAP]
    assert [_positions(service)[job_id] for job_id in jobs[-4:]] == found


def test_a_page_has_the_same_places(service: JobService) -> None:
    """Counted for all at once, they are what each job is told by itself."""
    jobs = [submit(service, priority=n % 3, model="alpha" if n % 2 else "beta") for n in range(8)]
    make(service, Status.COMPLETED)
    assert _positions(service) == {job_id: _position(service, job_id) for job_id in jobs}


# --- many jobs --------------------------------------------------------------------------------------


def test_a_page_brings_results_and_attempts(service: JobService) -> None:
    """Each by the job's id, for those jobs that have any."""
    done = make(service, Status.COMPLETED)
    failed = make(service, Status.FAILED)
    submit(service)
    with service.database.reading() as session:
        found, _ = list_jobs(session, JobFilter(), limit=10)
        assert list_results(session, found) == {done: "It scatters."}
        attempts = list_attempts(session, found)
    assert {job_id: [attempt.code for attempt in runs] for job_id, runs in attempts.items()} == {
        failed: ["bad_request"]
    }


def test_pending_jobs_are_counted_up_to_a_limit(service: JobService) -> None:
    """Of one key or of all; what is released and what is not both wait."""
    for key_id in ("k1", "k1", "k2"):
        submit(service, key_id=key_id)
    submit(service, delay_seconds=60.0)
    running(service)
    with service.database.reading() as session:
        assert count_pending(session, at_most=10) == 4
        assert count_pending(session, at_most=2) == 2
        assert count_pending(session, at_most=10, key_id="k1") == 3
        assert count_pending(session, at_most=10, key_id="k9") == 0


def test_models_are_known_by_size(service: JobService) -> None:
    """The smallest first; those that were seen lately, where asked."""
    with service.database.writing() as session:
        for name, size, age in (("b", 2, 0), ("a", 2, 0), ("c", 1, 60)):
            values = {"name": name, "size_bytes": size, "can_complete": True}
            session.execute(insert(Model).values(**values, seen_at=NOW - timedelta(seconds=age)))
    with service.database.reading() as session:
        assert [model.name for model in known_models(session)] == ["c", "a", "b"]
        assert [model.name for model in known_models(session, seen_after=NOW)] == ["a", "b"]
