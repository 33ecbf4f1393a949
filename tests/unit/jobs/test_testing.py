"""The queue in memory, without Celery."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobs.errors import InvalidRequest, ModelNotInstalled
from jobs.events import DONE
from jobs.records import Policy, Publication
from jobs.states import Status
from jobs.testing import Failure, MemoryLine, MemoryQueue

pytestmark = pytest.mark.usefixtures("no_network")

MESSAGE = Publication("first", 1, "tasks.generate", "alpha", "k1", datetime(2026, 5, 1, tzinfo=UTC), 5)
MESSAGES = [{"role": "user", "content": "Why?"}]


@pytest.fixture
def queue() -> Iterator[MemoryQueue]:
    """An empty queue."""
    found = MemoryQueue()
    yield found
    found.close()


def test_a_line_is_in_the_order_of_due_times() -> None:
    """Those due at the same time in the order in which they came, but one that goes back first."""
    line = MemoryLine()
    later = replace(MESSAGE, job_id="later", due_at=MESSAGE.due_at + timedelta(seconds=1))
    for message in (later, MESSAGE, replace(MESSAGE, job_id="second")):
        line.publish(message)
    line.publish(replace(MESSAGE, job_id="back"), serve_next=True)
    taken = [line.take() for _ in range(5)]
    assert [message and message.job_id for message in taken] == ["back", "first", "second", "later", None]


def test_nothing_runs_before_it_is_told_to(queue: MemoryQueue) -> None:
    """A submitted job is pending; then it has run."""
    job_id = queue.submit(prompt="Why?", metadata={"page": "7"}, key_id="mine")
    (job,) = queue.jobs
    assert (job.job_id, job.status, job.key_id, job.metadata) == (
        job_id,
        Status.PENDING,
        "mine",
        {"page": "7"},
    )
    assert (job.kind, job.model, job.priority, job.input) == ("generate", "test-model", 5, {"prompt": "Why?"})
    assert queue.run_one() == job_id
    assert queue.run_one() is None
    assert queue.jobs[0].status is Status.COMPLETED


def test_unscripted_answers_follow_from_the_question(queue: MemoryQueue) -> None:
    """The same question has the same answer; so have embeddings."""
    for asked in ({"prompt": "Why?"}, {"messages": MESSAGES}, {"input": "Why?"}, {"input": ["Why?", "How?"]}):
        queue.submit(**asked)
    queue.run_all()
    text, message, one, two = (job.result_data for job in queue.jobs)
    assert text == "test-model answers: Why?"
    assert message == {"role": "assistant", "content": text}
    assert len(one) == 1
    assert (one[0], len(two)) == (two[0], 2)
    assert two[0] != two[1]


def test_scripted_answers_are_given_in_the_order_of_the_runs(queue: MemoryQueue) -> None:
    """A text, a message, a function of the job; then `otherwise`."""
    queue.otherwise = "Nothing more."
    queue.answers.extend(["It scatters.", lambda job: job.input["prompt"].upper()])
    for _ in range(3):
        queue.submit(prompt="why?")
    queue.run_all()
    assert [job.result_data for job in queue.jobs] == ["It scatters.", "WHY?", "Nothing more."]


def test_a_message_may_be_the_answer_of_a_chat(queue: MemoryQueue) -> None:
    """With tool calls and whatever else a model says."""
    answer: dict[str, Any] = {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f"}}]}
    queue.answers.append(answer)
    queue.submit(messages=MESSAGES)
    queue.run_all()
    assert queue.jobs[0].result_data == answer


@pytest.mark.parametrize("answer", [[[0.1]], {"content": "x"}, 7, lambda job: 1 / 0])
def test_an_answer_that_a_job_can_t_have_fails_it(queue: MemoryQueue, answer: Any) -> None:
    """As an error inside a worker does; the message says what it was."""
    queue.answers.append(answer)
    queue.submit(prompt="Why?")
    queue.run_all()
    (job,) = queue.jobs
    assert (job.status, job.error_code, job.attempts) == (Status.FAILED, "internal_error", 1)


def test_a_failure_that_may_be_tried_again_is(queue: MemoryQueue) -> None:
    """After its back-off, to which `run_until` moves the clock."""
    queue.answers.append(Failure("server_error", "Ollama failed.", is_retryable=True))
    job_id = queue.submit(prompt="Why?")
    before = queue.database.now()
    assert queue.run_all() == 1
    assert queue.jobs[0].status is Status.PENDING
    assert queue.run_until(lambda: queue.jobs[0].status is Status.COMPLETED)
    assert queue.ran == [job_id, job_id]
    assert queue.database.now() - before >= timedelta(seconds=2)


def test_waiting_ends_where_nothing_can_come_of_it(queue: MemoryQueue) -> None:
    """Nothing is left to run; or it comes after the timeout, and then the clock has not moved there."""
    assert not queue.run_until(lambda: False)
    queue.answers.append(Failure("server_error", "Ollama failed.", is_retryable=True))
    queue.submit(prompt="Why?")
    assert not queue.run_until(lambda: len(queue.ran) == 2, timeout_seconds=1)
    assert queue.run_until(lambda: len(queue.ran) == 2, timeout_seconds=10)


def test_a_policy_of_one_attempt_and_a_model_by_name(queue: MemoryQueue) -> None:
    """What a queue is made with holds."""
    strict = MemoryQueue(policy=Policy(max_attempts=1), default_model="Llama3:latest")
    strict.fail(is_retryable=True)
    strict.submit(prompt="Why?")
    strict.run_all()
    assert (strict.jobs[0].status, strict.jobs[0].model) == (Status.FAILED, "llama3")
    assert queue.jobs == []
    strict.close()


def test_once_models_are_installed_others_are_refused(queue: MemoryQueue) -> None:
    """The first by name is the default; before, any name will do."""
    queue.submit(prompt="Why?", model="anything")
    queue.install("qwen3:8b", "llama3:latest")
    queue.submit(prompt="Why?")
    assert [job.model for job in queue.jobs] == ["anything", "llama3"]
    with pytest.raises(ModelNotInstalled):
        queue.submit(prompt="Why?", model="anything")
    assert len(queue.jobs) == 2


def test_a_wrong_request_is_refused_as_it_is_in_production(queue: MemoryQueue) -> None:
    """Nothing is written."""
    with pytest.raises(InvalidRequest, match="exactly one of"):
        queue.submit(prompt="Why?", input="How?")
    assert queue.jobs == []


def test_time_passes_by_hand(queue: MemoryQueue) -> None:
    """A deadline that passes expires the job, and readers of its events are told."""
    job_id = queue.submit(prompt="Why?", deadline_seconds=30)
    queue.advance(31)
    assert queue.run_all() == 0
    assert queue.jobs[0].status is Status.EXPIRED
    assert [event.type for event in queue.events.read(job_id)] == [DONE]


def test_two_queues_know_nothing_of_each_other(queue: MemoryQueue) -> None:
    """Each has a database of its own."""
    other = MemoryQueue()
    other.submit(prompt="Why?")
    assert (len(other.jobs), queue.jobs) == (1, [])
    other.close()


def test_nobody_listens_live(queue: MemoryQueue) -> None:
    """Events are kept; a run that was told to stop is noted."""
    queue.events.cancelled("1")
    assert (queue.events.with_readers(["1"]), queue.events.stopped) == ([], ["1"])
