"""Celery's result backend on the job table."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from celery.app.task import Context
from celery.backends.database.models import Task as StoredTask
from celery.exceptions import TaskRevokedError, TimeoutError
from sqlalchemy import update

from jobs.errors import JobFailed, JobNotFound
from jobs.events import read_events
from jobs.models import Job
from jobs.records import Outcome
from jobs.states import Status
from tasks import app, backend, chords, retrying
from tasks.cancelling import cancel_job
from tasks.resources import Resources
from tasks.retrying import retry_job
from tests.support.jobs import OUTCOME, claim, make, row, running, submit


@pytest.fixture(autouse=True)
def _resources(resources: Resources) -> None:
    """Everything here works on this process's resources."""


STATES = {
    Status.PENDING: "PENDING",
    Status.PROCESSING: "STARTED",
    Status.COMPLETED: "SUCCESS",
    Status.FAILED: "FAILURE",
    Status.CANCELLED: "REVOKED",
    Status.EXPIRED: "FAILURE",
}


@pytest.mark.parametrize("status", Status)
def test_a_jobs_state_is_its_rows(resources: Resources, status: Status) -> None:
    """Without anything stored for Celery."""
    result = app.AsyncResult(make(resources.service, status))
    assert result.state == STATES[status]
    assert result.ready() is status.is_complete
    assert (result.date_done is not None) is status.is_complete


def test_a_completed_jobs_result_has_all_of_it(resources: Resources) -> None:
    """As the contract has it, and the same for who was there and who comes later."""
    job_id = make(resources.service, Status.COMPLETED)
    assert app.AsyncResult(job_id).get(timeout=5) == {
        "job_id": job_id,
        "text": "It scatters.",
        "model": "alpha",
        "prompt_tokens": 7,
        "output_tokens": 2,
        "tokens_per_second": 8.0,
        "load_seconds": 0.25,
        "processing_time": 1.5,
    }


@pytest.mark.parametrize(
    ("values", "data", "field"),
    [
        ({"prompt": None, "messages": [{"role": "user", "content": "Hi"}]}, {"content": "Hi"}, "message"),
        ({"prompt": None, "input": "a"}, [[0.5]], "embeddings"),
    ],
)
def test_each_kind_has_its_own_form(
    resources: Resources, values: dict[str, Any], data: Any, field: str
) -> None:
    """A message, or embeddings."""
    claimed = running(resources.service, **values)
    resources.service.finish(claimed.job_id, claimed.claim, Outcome({}, data, 1.0))
    assert app.AsyncResult(claimed.job_id).get(timeout=5)[field] == data


@pytest.mark.parametrize(
    ("status", "error", "says"),
    [
        (Status.FAILED, JobFailed, "bad_request: Ollama refused."),
        (Status.EXPIRED, JobFailed, "expired: "),
        (Status.CANCELLED, TaskRevokedError, "cancelled"),
    ],
)
def test_what_did_not_complete_raises(
    resources: Resources, status: Status, error: type[Exception], says: str
) -> None:
    """With the job's reason."""
    result = app.AsyncResult(make(resources.service, status))
    with pytest.raises(error, match=says):
        result.get(timeout=5)
    assert isinstance(result.result, error)


def test_who_waits_too_long_is_told(resources: Resources) -> None:
    """The job goes on."""
    job_id = submit(resources.service)
    with pytest.raises(TimeoutError):
        app.AsyncResult(job_id).get(timeout=0)
    assert row(resources.service, job_id).status == Status.PENDING


def test_who_waits_is_told_soon(resources: Resources, monkeypatch: pytest.MonkeyPatch) -> None:
    """The row is looked at often enough for 100 ms, whatever interval is asked for."""
    job_id = submit(resources.service)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            resources.service.finish(job_id, claim(resources.service, job_id).claim, OUTCOME)

    monkeypatch.setattr(backend.time, "sleep", sleep)
    looked: list[None] = []
    meta = app.backend.wait_for(job_id, interval=30.0, on_interval=lambda: looked.append(None))
    assert (meta["status"], len(slept), len(looked)) == ("SUCCESS", 3, 3)
    assert max(slept) <= 0.1


def test_storing_a_jobs_result_writes_nothing(resources: Resources) -> None:
    """The row says it already; a late or wrong word of Celery's changes nothing."""
    job_id = make(resources.service, Status.COMPLETED)
    app.backend.store_result(job_id, {"text": "something else"}, "FAILURE")
    assert app.AsyncResult(job_id).state == "SUCCESS"
    assert app.AsyncResult(job_id).result["text"] == "It scatters."


@pytest.mark.parametrize("status", [Status.PENDING, Status.PROCESSING, Status.COMPLETED])
def test_a_revoked_job_is_cancelled(resources: Resources, status: Status) -> None:
    """Unless it has ended."""
    job_id = make(resources.service, status)
    app.backend.store_result(job_id, None, "REVOKED")
    expected = status if status.is_complete else Status.CANCELLED
    assert row(resources.service, job_id).status == expected


def test_results_of_other_tasks_are_celerys(resources: Resources) -> None:
    """In its own tables, as it documents."""
    app.backend.store_result("other", {"sum": 3}, "SUCCESS")
    result = app.AsyncResult("other")
    assert (result.state, result.get(timeout=5)) == ("SUCCESS", {"sum": 3})
    result.forget()
    assert app.AsyncResult("other").state == "PENDING"


def test_an_unknown_id_is_pending(resources: Resources) -> None:
    """As Celery says of what it does not know."""
    assert app.AsyncResult("nobody").state == "PENDING"


def test_old_results_of_other_tasks_are_cleaned_up(resources: Resources) -> None:
    """After Celery's own time."""
    app.backend.store_result("old", 1, "SUCCESS")
    app.backend.store_result("young", 1, "SUCCESS")
    long_ago = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=30)
    with resources.database.writing() as session:
        session.execute(update(StoredTask).where(StoredTask.task_id == "old").values(date_done=long_ago))
    app.backend.cleanup()
    assert [app.AsyncResult(name).state for name in ("old", "young")] == ["PENDING", "SUCCESS"]


def test_a_forgotten_job_is_gone(resources: Resources) -> None:
    """With its input and result; one that is still on its way stays."""
    done, waiting = make(resources.service, Status.COMPLETED), submit(resources.service)
    for job_id in (done, waiting):
        app.AsyncResult(job_id).forget()
    with resources.database.reading() as session:
        assert session.get(Job, done) is None
        assert session.get(Job, waiting) is not None


# --- successors -------------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", ["done", "failed"])
def test_who_was_told_of_the_end_is_noted(resources: Resources, outcome: str) -> None:
    """So that the keeper does not tell them again."""
    status = Status.COMPLETED if outcome == "done" else Status.FAILED
    job_id = make(resources.service, status, has_successors=True)
    request = Context(id=job_id, callbacks=[{"task": "t"}], errbacks=None, delivery_info={})
    if outcome == "done":
        app.backend.mark_as_done(job_id, {}, request)
    else:
        app.backend.mark_as_failure(job_id, JobFailed("x"), request=request, call_errbacks=False)
    assert not row(resources.service, job_id).successors_pending


def test_a_job_without_successors_is_not_written_to(resources: Resources) -> None:
    """Its end is one write, the finish."""
    job_id = make(resources.service, Status.COMPLETED, has_successors=True)
    app.backend.mark_as_done(job_id, {}, Context(id=job_id, delivery_info={}))
    app.backend.mark_as_done(job_id, {}, None)
    assert row(resources.service, job_id).successors_pending


def test_a_chord_is_complete_with_its_last_task(resources: Resources) -> None:
    """In whatever order they end; one that is told of twice counts once, but may ask again."""
    database = resources.database
    chords.open_chord(database, "g")
    assert not chords.is_complete_with(database, "g", "a")
    chords.set_size(database, "g", 2)
    assert not chords.is_complete_with(database, "g", "a")
    assert chords.is_complete_with(database, "g", "b")
    assert chords.is_complete_with(database, "g", "b")
    assert not chords.is_complete_with(database, "unknown", "a")


class Body:
    """A chord's body that only notes what it is given."""

    def __init__(self, error: Exception | None = None) -> None:
        self.given: list[Any] = []
        self.error = error

    def apply_async(self, args: Any) -> None:
        if self.error:
            raise self.error
        self.given.append(args)


@pytest.fixture
def failures(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a chord's body is told when it can't run."""
    found: list[str] = []
    monkeypatch.setattr(app.backend, "chord_error_from_stack", lambda _body, error: found.append(str(error)))
    return found


def _chord(*job_ids: str) -> None:
    results = [app.AsyncResult(job_id) for job_id in job_ids]
    app.backend.apply_chord(("g", results), None)
    app.backend.set_chord_size("g", len(results))


def test_a_chords_body_gets_the_results_in_order(resources: Resources, failures: list[str]) -> None:
    """After the last of its tasks."""
    jobs = [make(resources.service, Status.COMPLETED) for _ in range(3)]
    _chord(*jobs)
    body = Body()
    chords.send_body(app.backend, "g", body)
    assert [result["job_id"] for result in body.given[0][0]] == jobs
    assert failures == []


def test_a_chord_with_a_failed_task_fails(resources: Resources, failures: list[str]) -> None:
    """Its body does not run, and whoever waits for it learns why."""
    _chord(make(resources.service, Status.COMPLETED), make(resources.service, Status.FAILED))
    body = Body()
    chords.send_body(app.backend, "g", body)
    assert body.given == []
    assert "Ollama refused" in failures[0]


def test_a_chord_whose_body_is_refused_fails(resources: Resources, failures: list[str]) -> None:
    """As when its model is gone by then."""
    _chord(make(resources.service, Status.COMPLETED))
    chords.send_body(app.backend, "g", Body(JobNotFound("no")))
    assert "not accepted" in failures[0]


def test_the_last_task_of_a_chord_sends_its_body(
    resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And only the last; a task outside of a chord sends nothing."""
    sent: list[str] = []
    monkeypatch.setattr(chords, "send_body", lambda _backend, group_id, _body: sent.append(group_id))
    jobs = [make(resources.service, Status.COMPLETED) for _ in range(2)]
    _chord(*jobs)
    for job_id in jobs:
        assert sent == []
        request = Context(id=job_id, group="g", chord={"task": "tasks.generate"})
        app.backend.on_chord_part_return(request, "SUCCESS", {})
    app.backend.on_chord_part_return(Context(id="x", group=None), "SUCCESS", {})
    assert sent == ["g"]


# --- cancelling -------------------------------------------------------------------------------------


def test_a_cancelled_job_is_announced(resources: Resources) -> None:
    """To its worker, and to whoever listens."""
    job_id = submit(resources.service)
    with resources.redis.pubsub(ignore_subscribe_messages=True) as pubsub:
        pubsub.subscribe("paddock:cancelled")
        cancel_job(job_id)
        message = pubsub.get_message(timeout=1) or pubsub.get_message(timeout=1)
    assert message["data"] == job_id
    assert resources.redis.exists(f"paddock:events:{job_id}")


def test_a_job_is_cancelled_without_redis(resources: Resources, monkeypatch: pytest.MonkeyPatch) -> None:
    """The row is what counts; its worker finds out by itself."""

    def away(*_: Any) -> None:
        raise redis.ConnectionError

    monkeypatch.setattr(resources.events, "cancelled", away)
    job_id = submit(resources.service)
    cancel_job(job_id)
    assert row(resources.service, job_id).status == Status.CANCELLED


# --- running again ----------------------------------------------------------------------------------


def test_a_job_that_runs_again_is_published(resources: Resources, monkeypatch: pytest.MonkeyPatch) -> None:
    """And its readers hear that it waits, as far as Redis is there."""
    sent: list[str] = []
    monkeypatch.setattr(
        retrying, "publish", lambda _client, published, **_: sent.extend(each.job_id for each in published)
    )
    job_id = make(resources.service, Status.FAILED)
    retry_job(job_id)
    assert sent == [job_id]
    assert [event.data for event in read_events(resources.redis, job_id)] == [{"status": "pending"}]

    def away(*_: Any) -> None:
        raise redis.ConnectionError

    monkeypatch.setattr(resources.events, "add", away)
    other = make(resources.service, Status.CANCELLED)
    retry_job(other)
    assert row(resources.service, other).status == Status.PENDING
