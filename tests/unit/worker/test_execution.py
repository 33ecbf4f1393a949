"""A job's way through a child, whatever Ollama makes of it."""

import time
from dataclasses import replace
from typing import Any

import pytest
from celery.exceptions import Ignore
from sqlalchemy.exc import OperationalError

from jobs.answers import Answers, answers_key
from jobs.errors import JobFailed
from jobs.housekeeping import release_due
from jobs.instants import utc_now
from jobs.reaping import reap_expired
from jobs.scheduling.overlap import LONG_SECONDS
from jobs.states import Status
from jobs.workers import InstalledModel, WorkerReport, report_worker
from ollama_client import errors
from ollama_client.errors import GenerationAborted, OllamaError
from tasks import generate
from tests.support.fake_ollama import FINAL, FakeTransport
from tests.support.jobs import LEASE, SECOND, WORKER, attempts, make, result, row, submit
from tests.unit.worker.conftest import Worker
from worker import execution

PROMPT = "my secret prompt"


def _all_errors(root: type[OllamaError] = OllamaError) -> list[type[OllamaError]]:
    return [root, *(each for kind in root.__subclasses__() for each in _all_errors(kind))]


ERRORS = [kind for kind in _all_errors() if kind is not errors.Aborted]
OUTAGES = [kind for kind in ERRORS if kind.is_outage]
RETRYABLE = [kind for kind in ERRORS if kind.is_retryable and not kind.is_outage]
FINAL_ERRORS = [kind for kind in ERRORS if not kind.is_retryable]


def _submit(worker: Worker, **values: Any) -> str:
    return submit(worker.service, **{"now": None, "prompt": PROMPT} | values)


def _ignored(worker: Worker, job_id: str, **request: Any) -> None:
    with pytest.raises(Ignore):
        worker.run(job_id, **request)


def test_a_job_runs_to_its_end(worker: Worker) -> None:
    """Claimed, asked, streamed, finished; the result is what `.get()` gives."""
    job_id = _submit(worker)
    answer = worker.run(job_id)
    assert (answer["text"], answer["model"], answer["job_id"]) == ("It scatters.", "alpha", job_id)
    job = row(worker.service, job_id)
    assert (job.status, job.worker, job.claim, job.attempts) == (Status.COMPLETED, WORKER, 1, 0)
    assert (job.output_tokens, job.load_seconds) == (2, 0.25)
    assert worker.transport.calls[0]["body"] == {"model": "alpha", "prompt": PROMPT}
    assert job.started_at is not None
    began = {"started_at": job.started_at.isoformat(), "worker": WORKER, "priority": job.priority}
    assert worker.events(job_id) == [
        ("status", {"status": "processing", **began}),
        ("token", {"text": "It "}),
        ("token", {"text": "scatters."}),
        ("done", {"status": "completed"}),
    ]


def test_a_second_run_begins_anew(worker: Worker) -> None:
    """Readers are told to discard what came before."""
    job_id = _submit(worker)
    worker.use(FakeTransport({"response": "It sc"}, errors.StreamError("boom")))
    _ignored(worker, job_id)
    _release(worker)
    worker.use(FakeTransport())
    worker.run(job_id)
    kinds = [kind for kind, _ in worker.events(job_id)]
    assert kinds == ["status", "token", "status", "status", "restart", "token", "token", "done"]


def _release(worker: Worker) -> None:
    assert len(release_due(worker.service, now=utc_now() + 60 * SECOND)) == 1


def test_a_void_message_does_nothing(worker: Worker) -> None:
    """A duplicate, an older publication, a job that has ended: Ollama is not asked."""
    done = make(worker.service, Status.COMPLETED)
    waiting = _submit(worker)
    _ignored(worker, done)
    _ignored(worker, waiting, publication=7)
    _ignored(worker, "nobody-knows-it", publication=1)
    assert worker.transport.calls == []
    assert row(worker.service, waiting).status == Status.PENDING


@pytest.mark.parametrize("kind", OUTAGES)
def test_an_outage_costs_no_attempt(worker: Worker, kind: type[OllamaError], pauses: list[float]) -> None:
    """The job goes back to the front of its queue, and the worker waits for Ollama."""
    worker.use(FakeTransport(kind(), answers={"/api/version": {"version": "1"}}))
    job_id = _submit(worker)
    _ignored(worker, job_id)
    job = row(worker.service, job_id)
    assert (job.status, job.attempts, job.publication) == (Status.PENDING, 0, 2)
    assert [(found.publication, serve_next) for found, serve_next in worker.published] == [(2, True)]
    assert worker.events(job_id)[-1] == ("status", {"status": "pending"})
    assert len(pauses) == 1


def test_a_worker_waits_for_ollama_a_while(
    worker: Worker, ollama_is_away: FakeTransport, pauses: list[float]
) -> None:
    """Then it looks for the next job; so others' models are not kept waiting for ever."""
    _ignored(worker, _submit(worker))
    assert 4.5 <= sum(pauses) <= 5.5


def test_a_worker_that_ends_does_not_wait(
    worker: Worker, ollama_is_away: FakeTransport, pauses: list[float]
) -> None:
    """It drains."""
    ollama_is_away.on_call = lambda: setattr(worker.lease, "is_draining", True)
    _ignored(worker, _submit(worker))
    assert pauses == []


@pytest.mark.parametrize("kind", RETRYABLE)
def test_what_may_succeed_later_is_tried_again(worker: Worker, kind: type[OllamaError]) -> None:
    """At the cost of an attempt, after the back-off."""
    worker.use(FakeTransport(kind()))
    job_id = _submit(worker)
    _ignored(worker, job_id)
    job = row(worker.service, job_id)
    assert (job.status, job.attempts, job.released_at) == (Status.PENDING, 1, None)
    (attempt,) = attempts(worker.service, job_id)
    assert (attempt.code, attempt.worker) == (kind.code, WORKER)
    assert worker.events(job_id)[-1] == ("status", {"status": "pending"})
    assert worker.published == []


@pytest.mark.parametrize("kind", FINAL_ERRORS)
def test_what_can_not_succeed_fails_at_once(worker: Worker, kind: type[OllamaError]) -> None:
    """Celery is told, so that it calls the errbacks; the message says what to do and quotes no prompt."""
    worker.use(FakeTransport(kind()))
    job_id = _submit(worker)
    with pytest.raises(JobFailed, match=kind.code) as raised:
        worker.run(job_id)
    job = row(worker.service, job_id)
    assert (job.status, job.attempts, job.error_code) == (Status.FAILED, 1, kind.code)
    assert kind.remedy in str(job.error_message)
    assert ".." not in str(job.error_message)
    assert PROMPT not in str(raised.value)
    assert worker.events(job_id)[-1] == ("done", {"status": "failed"})


def test_the_last_attempt_fails_the_job(worker: Worker) -> None:
    """After as many as the settings allow."""
    worker.use(FakeTransport(errors.ServerError()))
    job_id = _submit(worker)
    for _ in range(2):
        _ignored(worker, job_id)
        _release(worker)
    with pytest.raises(JobFailed):
        worker.run(job_id)
    assert (row(worker.service, job_id).attempts, len(attempts(worker.service, job_id))) == (3, 3)


def test_a_given_up_generation_keeps_its_text(worker: Worker) -> None:
    """It is failed, and the text so far is there to read."""
    worker.use(FakeTransport({"response": "la la"}, GenerationAborted(text="la la")))
    job_id = _submit(worker)
    with pytest.raises(JobFailed, match="generation_aborted"):
        worker.run(job_id)
    stored = result(worker.service, job_id)
    assert stored is not None
    assert stored.result_data == "la la"


def test_a_mistake_of_ours_fails_the_job(worker: Worker, caplog: pytest.LogCaptureFixture) -> None:
    """It is told in the log, without the prompt, and not repeated."""
    worker.use(FakeTransport(RuntimeError(f"about {PROMPT}")))
    job_id = _submit(worker)
    with pytest.raises(JobFailed, match="internal_error") as raised:
        worker.run(job_id)
    assert PROMPT not in f"{raised.value}{row(worker.service, job_id).error_message}"
    assert job_id in caplog.text


def test_a_job_that_is_cancelled_while_it_runs_is_left_alone(worker: Worker) -> None:
    """Its answer is void: neither finished nor failed, and readers hear nothing more of this run."""
    job_id = _submit(worker)
    worker.use(FakeTransport(on_call=lambda: worker.service.cancel(job_id)))
    _ignored(worker, job_id)
    assert row(worker.service, job_id).status == Status.CANCELLED
    assert result(worker.service, job_id) is None
    assert "done" not in [kind for kind, _ in worker.events(job_id)]


def test_a_job_that_was_taken_back_is_left_alone(worker: Worker) -> None:
    """The run that comes after it is the job's."""
    job_id = _submit(worker)
    late = utc_now() + LEASE + 60 * SECOND
    worker.use(FakeTransport(on_call=lambda: reap_expired(worker.service, now=late)))
    _ignored(worker, job_id)
    job = row(worker.service, job_id)
    assert (job.status, job.attempts) == (Status.PENDING, 1)
    assert worker.published == []


def test_a_lost_run_is_not_counted(worker: Worker) -> None:
    """What its stopped call raises says nothing about the job."""

    def lose() -> None:
        worker.service.cancel(job_id)
        worker.lease.renew(worker.lease._current)

    job_id = _submit(worker)
    worker.use(FakeTransport(errors.Aborted(), on_call=lose))
    _ignored(worker, job_id)
    assert (row(worker.service, job_id).status, worker.published) == (Status.CANCELLED, [])


def test_one_that_waits_inside_ollama_in_vain_is_handed_back(worker: Worker, pauses: list[float]) -> None:
    """Soon, and at no cost, to the front of its queue: others were sent before it that take longer."""
    worker.use(FakeTransport(errors.FirstTokenTimeout()))
    job_id = _submit(worker)
    _ignored(worker, job_id, overlaps=True)
    assert worker.transport.calls[0]["limits"].first_token_seconds == LONG_SECONDS
    job = row(worker.service, job_id)
    assert (job.status, job.attempts) == (Status.PENDING, 0)
    assert [serve_next for _, serve_next in worker.published] == [True]
    assert pauses == []


def test_one_that_has_a_slot_has_its_time(worker: Worker) -> None:
    """And so has one that waited for it: between two tokens nothing is different."""
    worker.run(_submit(worker))
    worker.run(_submit(worker), overlaps=True)
    first, second = (call["limits"] for call in worker.transport.calls)
    assert first.first_token_seconds == worker.resources.settings.first_token_timeout_seconds
    assert second == replace(first, first_token_seconds=LONG_SECONDS)


def test_a_drained_run_is_handed_back(worker: Worker, pauses: list[float]) -> None:
    """At no cost, to the front of its queue, and without waiting for anything."""
    worker.use(FakeTransport(errors.Aborted(), on_call=worker.lease.drain))
    job_id = _submit(worker)
    _ignored(worker, job_id)
    job = row(worker.service, job_id)
    assert (job.status, job.attempts) == (Status.PENDING, 0)
    assert [serve_next for _, serve_next in worker.published] == [True]
    assert pauses == []


def test_a_job_that_begins_while_draining_stops_at_once(worker: Worker) -> None:
    """Its call is cancelled before it starts."""
    worker.lease.drain()
    seen: list[bool] = []
    worker.use(FakeTransport(errors.Aborted()))
    worker.transport.on_call = lambda: seen.append(worker.transport.calls[-1]["cancellation"].cancelled)
    _ignored(worker, _submit(worker))
    assert seen == [True]


def test_a_stale_hand_back_publishes_nothing(worker: Worker) -> None:
    """The job is somebody else's by then."""
    job_id = _submit(worker)

    def drained_too_late() -> None:
        worker.lease.drain()
        worker.service.cancel(job_id)

    worker.use(FakeTransport(errors.Aborted(), on_call=drained_too_late))
    _ignored(worker, job_id)
    assert worker.published == []


def test_a_finish_waits_for_the_database(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """A finished answer is not thrown away because the database is away for a moment."""
    job_id = _submit(worker)
    finish, failures = worker.service.finish, [OperationalError("UPDATE", {}, Exception("away"))] * 3

    def flaky(*args: Any, **kwargs: Any) -> bool:
        if failures:
            raise failures.pop()
        return finish(*args, **kwargs)

    monkeypatch.setattr(worker.service, "finish", flaky)
    monkeypatch.setattr("worker.persistence.wait_exponential", lambda **_: lambda _state: 0)
    worker.run(job_id)
    assert row(worker.service, job_id).status == Status.COMPLETED


def test_what_comes_after_a_job_is_put_back(worker: Worker) -> None:
    """The message has no canvas, so the tracer gets it from the row."""
    job_id = _submit(worker, canvas={"link": [{"task": "t"}], "root_id": "r"}, has_successors=True)
    seen: list[Any] = []
    worker.use(FakeTransport(on_call=lambda: seen.append(generate.request.callbacks)))
    worker.run(job_id)
    assert seen == [[{"task": "t"}]]


def test_the_attempts_limits_reach_ollama(worker: Worker) -> None:
    """The settings', and the job's own for the whole."""
    worker.run(_submit(worker, timeout_seconds=7.5))
    limits = worker.transport.calls[0]["limits"]
    assert (limits.first_token_seconds, limits.between_tokens_seconds, limits.total_seconds) == (300, 60, 7.5)


@pytest.mark.parametrize(("wanted", "sent"), [(1024, 4096), (9000, 9000), (None, None)])
def test_a_context_is_rounded_up_to_the_models_own(
    worker: Worker, wanted: int | None, sent: int | None
) -> None:
    """So that Ollama does not load the model anew; a job that says none is sent as it is."""
    models = [InstalledModel("alpha", num_ctx=4096)]
    report = WorkerReport(WORKER, "h", "u", True, 1, 0.0, models=models)
    report_worker(worker.resources.redis, report)
    options = {"options": {"num_ctx": wanted}} if wanted else {}
    worker.run(_submit(worker, **options))
    assert worker.transport.calls[0]["body"].get("options", {}).get("num_ctx") == sent


def test_the_parent_learns_what_ollama_holds(worker: Worker) -> None:
    """When the first piece came, and how long the load took."""
    before = time.time()
    worker.run(_submit(worker))
    answers = Answers.from_fields(worker.resources.redis.hgetall(answers_key(WORKER)))
    assert before <= answers.answered_at["alpha"] <= time.time()
    assert answers.load_seconds == {"alpha": 0.25}


def test_an_answer_of_any_characters_is_kept(worker: Worker) -> None:
    """NUL and half surrogate pairs too, which no text of Postgres can hold."""
    text = "a\x00b\ud800🌱"
    worker.use(FakeTransport({"response": text}, FINAL))
    job_id = _submit(worker)
    assert worker.run(job_id)["text"] == text
    stored = result(worker.service, job_id)
    assert stored is not None
    assert stored.result_data == text


def test_an_error_of_any_characters_is_kept(worker: Worker) -> None:
    """As far as a database can hold it; the job ends all the same."""
    worker.use(FakeTransport(errors.BadRequest("a\x00b\ud800c")))
    job_id = _submit(worker)
    with pytest.raises(JobFailed):
        worker.run(job_id)
    assert str(row(worker.service, job_id).error_message).startswith("a")
    assert len(attempts(worker.service, job_id)) == 1


def test_a_message_with_arguments_is_taken_in(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no publication: a job is made of it, and its own message follows."""
    monkeypatch.setattr("tasks.job_task.publish", worker.publish)
    generate.push_request(id="j1", headers={}, delivery_info={})
    try:
        with pytest.raises(Ignore):
            execution.run_job(generate, ("Why?",), {"model": "alpha"})
    finally:
        generate.pop_request()
    assert row(worker.service, "j1").status == Status.PENDING
    assert [found.job_id for found, _ in worker.published] == ["j1"]
    assert worker.transport.calls == []
