"""`.delay()`, `.get()`, `.revoke()` and canvas on the queue in memory, with neither network nor file."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery, chain, chord, group, states
from celery.exceptions import NotRegistered, TaskRevokedError, TimeoutError

from jobs.errors import InvalidRequest, JobFailed, ModelNotInstalled
from jobs.records import Policy
from jobs.states import Status
from settings import ROOT, get_settings
from tasks import app, chat, embed, generate, publishing
from tasks.backend import JobBackend
from tasks.job_task import JobTask
from tasks.resources import get_resources
from tasks.services import data_cleaning
from tasks.testing import TaskQueue, memory_queue, paddock_queue
from tests.support.documents import blocks, document

__all__ = ["paddock_queue"]
pytestmark = pytest.mark.usefixtures("no_network")


@pytest.fixture
def called(paddock_queue: TaskQueue) -> Iterator[list[Any]]:
    """With what a task of Celery's own, `tests.note`, was called."""
    calls: list[Any] = []

    @app.task(name="tests.note")
    def note(value: Any) -> Any:
        calls.append(value["text"] if isinstance(value, dict) else value)
        return value

    yield calls
    app.tasks.unregister("tests.note")


def sky(text: str) -> Any:
    return f"test-model answers: {text}"


def test_a_job_waits_until_somebody_waits_for_it(paddock_queue: TaskQueue) -> None:
    """`.get()` runs it, and those whose turn is before it."""
    first, second = generate.delay("a"), generate.delay("b")
    behind = generate.delay("c")
    assert (first.state, first.ready()) == (states.PENDING, False)
    assert second.get(timeout=5)["text"] == sky("b")
    assert (first.state, behind.state) == (states.SUCCESS, states.PENDING)
    assert paddock_queue.ran == [first.id, second.id]
    assert paddock_queue.run_all() == 1
    assert behind.result["text"] == sky("c")


def test_every_kind_of_task_has_its_result(paddock_queue: TaskQueue) -> None:
    """The fields of production: text, counts, message, embeddings; a service's job is one too."""
    result = generate.delay("Why is it?").get()
    assert (result["model"], result["prompt_tokens"], result["output_tokens"]) == ("test-model", 3, 5)
    asked = [{"role": "user", "content": "Why?"}]
    assert chat.delay(asked).get()["message"] == {"role": "assistant", "content": sky("Why?")}
    assert len(embed.delay(["a", "b"]).get()["embeddings"]) == 2
    paddock_queue.answers.append("Clean.")
    assert data_cleaning.delay(records=[{"city": "wien"}]).get()["text"] == "Clean."
    assert paddock_queue.jobs[-1].service == "data-cleaning"


def test_canvas_goes_on_as_with_a_worker(paddock_queue: TaskQueue) -> None:
    """Groups in their order, chains hand text on, a chord's body gets all texts."""
    grouped = group(generate.s(prompt) for prompt in "ab")()
    assert [each["text"] for each in grouped.get()] == [sky("a"), sky("b")]
    assert chain(generate.s("a"), generate.s(), generate.s())().get()["text"] == sky(sky(sky("a")))
    assert chord([generate.s("a"), generate.s("b")], generate.s())().get()["text"] == sky(
        f"{sky('a')}\n\n{sky('b')}"
    )


def test_links_and_errbacks_are_called(paddock_queue: TaskQueue, called: list[Any]) -> None:
    """Of tasks that are no jobs as well."""
    note = app.tasks["tests.note"]
    generate.apply_async(("a",), link=note.s())
    paddock_queue.run_all()
    assert called == [sky("a")]
    paddock_queue.fail()
    generate.apply_async(("b",), link=note.s(), link_error=note.si("failed"))
    paddock_queue.run_all()
    assert called == [sky("a"), "failed"]


@pytest.mark.parametrize("end", ["cancelled", "expired"])
def test_the_errbacks_of_a_job_that_never_ran_are_called(
    paddock_queue: TaskQueue, called: list[Any], end: str
) -> None:
    """As the keeper does it, once."""
    note = app.tasks["tests.note"]
    result = generate.apply_async(("a",), link_error=note.si(end), expires=10)
    if end == "cancelled":
        result.revoke()
    else:
        paddock_queue.advance(11)
    paddock_queue.run_all()
    assert called == [end]


def test_a_task_that_is_no_job_runs_too(paddock_queue: TaskQueue, called: list[Any]) -> None:
    """Its result is kept where Celery keeps it."""
    result = app.tasks["tests.note"].delay("plain")
    assert result.get() == "plain"
    assert called == ["plain"]
    assert paddock_queue.jobs == []


def test_a_failed_job_raises_its_error(paddock_queue: TaskQueue) -> None:
    """With code and message, in the state FAILURE."""
    paddock_queue.fail("model_not_found", "No such model.")
    result = generate.delay("a")
    with pytest.raises(JobFailed, match=r"model_not_found: No such model\."):
        result.get()
    assert result.state == states.FAILURE
    assert isinstance(result.get(propagate=False), JobFailed)


def test_a_retried_attempt_is_waited_for(paddock_queue: TaskQueue) -> None:
    """`.get()` moves the clock over the back-off; nobody sleeps."""
    paddock_queue.fail(is_retryable=True)
    result = generate.delay("a")
    assert result.get()["text"] == sky("a")
    assert paddock_queue.ran == [result.id] * 2


def test_a_broken_chain_fails_its_last_member(paddock_queue: TaskQueue) -> None:
    """It was never submitted, so nothing can end it but the failure before it."""
    paddock_queue.fail()
    result = chain(generate.s("a"), generate.s())()
    with pytest.raises(JobFailed):
        result.parent.get()
    with pytest.raises(JobFailed):
        result.get()
    assert len(paddock_queue.jobs) == 1


def test_a_countdown_ends_when_the_clock_says_so(paddock_queue: TaskQueue) -> None:
    """Moved by hand, or by `.get()` within its timeout."""
    result = generate.apply_async(("a",), countdown=60)
    assert paddock_queue.run_all() == 0
    with pytest.raises(TimeoutError):
        result.get(timeout=30)
    paddock_queue.advance(61)
    assert paddock_queue.run_all() == 1
    later = generate.apply_async(("b",), eta=datetime.now(UTC) + timedelta(seconds=120))
    assert later.get(timeout=180)["text"] == sky("b")


def test_waiting_for_what_can_t_come_ends_at_once(paddock_queue: TaskQueue) -> None:
    """An id that nobody submitted; production would wait for ever."""
    with pytest.raises(TimeoutError, match="Nothing in the queue ends task unknown"):
        generate.AsyncResult("unknown").get()


def test_revoke_cancels_what_waits_and_with_terminate_what_runs(paddock_queue: TaskQueue) -> None:
    """As workers take it."""
    waiting = generate.delay("a")
    waiting.revoke()
    with pytest.raises(TaskRevokedError):
        waiting.get()

    def revoke(job: Any) -> str:
        app.control.revoke([job.job_id], terminate=job.input["prompt"] == "stop")
        return "An answer."

    paddock_queue.otherwise = revoke
    kept, stopped = generate.delay("go on"), generate.delay("stop")
    paddock_queue.run_all()
    assert (waiting.state, kept.state, stopped.state) == (states.REVOKED, states.SUCCESS, states.REVOKED)
    assert paddock_queue.events.stopped == [waiting.id, stopped.id]
    app.control.revoke(None)


def test_priority_order_and_owner(paddock_queue: TaskQueue) -> None:
    """What was submitted can be looked at."""
    generate.apply_async(("a",), priority=9, headers={"key_id": "mine"})
    urgent = generate.apply_async(("b",), priority=0, task_id="known")
    paddock_queue.run_all()
    assert paddock_queue.ran[0] == urgent.id == "known"
    assert [(job.priority, job.key_id) for job in paddock_queue.jobs] == [(9, "mine"), (0, "local")]


def test_a_call_by_name_is_taken_in_as_a_job(
    paddock_queue: TaskQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From our app, and from one that is not ours once its `send_task` is the queue's."""
    theirs = Celery("theirs", set_as_current=False)
    monkeypatch.setattr(theirs, "send_task", paddock_queue.send_task)
    result = app.send_task("tasks.generate", ["a"], {"model": "beta"}, priority=0)
    theirs.send_task("tasks.generate", ["b"], task_id="mine", priority=1)
    assert result.get()["text"] == "beta answers: a"
    assert [(job.priority, job.status) for job in paddock_queue.jobs] == [
        (5, Status.COMPLETED),
        (1, Status.COMPLETED),
    ]
    with pytest.raises(NotRegistered):
        app.send_task("tasks.unknown")
    theirs.close()


def test_what_production_refuses_is_refused(paddock_queue: TaskQueue) -> None:
    """Wrong arguments, and models that nobody has."""
    with pytest.raises(InvalidRequest):
        generate.delay("a", temperature=3)
    paddock_queue.install("llama3")
    with pytest.raises(ModelNotInstalled):
        generate.delay("a", model="qwen3")
    assert generate.delay("a").get()["model"] == "llama3"


def test_a_result_can_be_forgotten(paddock_queue: TaskQueue) -> None:
    """Like a result in production."""
    result = generate.delay("a")
    result.get()
    result.forget()
    assert paddock_queue.jobs == []


def test_there_is_no_redis_behind_it(paddock_queue: TaskQueue) -> None:
    """Whatever else is asked of it finds it away, as code must bear in production."""
    with pytest.raises(redis.ConnectionError):
        get_resources().redis.hgetall("paddock:workers")


def test_afterwards_everything_is_as_before(tmp_path: Path) -> None:
    """Nothing that was swapped stays, also after an error; and no file was made."""

    def swapped() -> list[Any]:
        return [
            app.__dict__.get("send_task"),
            app.control.__dict__.get("revoke"),
            publishing.breaker,
            JobTask.runner,
            JobBackend.wait_for,
        ]

    before, resources = swapped(), get_resources()
    files = set(get_settings().var_dir.rglob("*"))
    with pytest.raises(RuntimeError), memory_queue(policy=Policy(max_attempts=1)) as queue:
        generate.delay("a").get()
        assert all(now is not then for now, then in zip(swapped(), before, strict=True))
        assert queue.service.policy.max_attempts == 1
        raise RuntimeError
    assert (swapped(), get_resources()) == (before, resources)
    assert set(get_settings().var_dir.rglob("*")) == files


def test_what_the_document_shows_passes(tmp_path: Path) -> None:
    """docs/testing.md's conftest.py and test file, run as they stand by a pytest of their own."""
    conftest, tests = blocks(document("testing.md"), "python")
    (tmp_path / "conftest.py").write_text(conftest)
    (tmp_path / "test_summaries.py").write_text(tests)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-c", os.devnull, str(tmp_path)]
    ran = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "3 passed" in ran.stdout
