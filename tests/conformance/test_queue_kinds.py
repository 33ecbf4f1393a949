"""One suite over every kind of queue: in memory, as users test with it, on a fake Redis and on a real one."""

from collections.abc import Iterator
from contextlib import ExitStack

import fakeredis
import pytest

from jobs.errors import JobFailed
from jobs.events import DONE, RESTART, STATUS, TOKEN
from jobs.records import Failure
from jobs.states import Status
from tasks import generate
from tasks.cancelling import cancel_job
from tasks.moving import move_job
from tasks.retrying import retry_job
from tests.support.queue_kinds import QueueKind, by_kombu, from_lists, queue_kind


@pytest.fixture(params=["memory", "fakeredis", "valkey"])
def kind(request: pytest.FixtureRequest) -> Iterator[QueueKind]:
    """An empty queue."""
    with ExitStack() as opened:
        if request.param == "memory":
            yield opened.enter_context(queue_kind())
        elif request.param == "fakeredis":
            client = opened.enter_context(fakeredis.FakeRedis(decode_responses=True))
            yield opened.enter_context(queue_kind(client, from_lists(client)))
        else:
            client = request.getfixturevalue("real_redis")
            take = opened.enter_context(by_kombu(request.getfixturevalue("valkey").url))
            yield opened.enter_context(queue_kind(client, take))


def submit(prompt: str = "Why?", **options: object) -> str:
    model = options.pop("model", "alpha")
    job_id: str = generate.apply_async((prompt,), {"model": model}, **options).id
    return job_id


def status(kind: QueueKind, job_id: str) -> Status:
    (found,) = [job for job in kind.queue.jobs if job.job_id == job_id]
    return found.status


def events(kind: QueueKind, job_id: str, after: str = "0-0") -> list[str]:
    return [event.type for event in kind.queue.events.read(job_id, after=after)]


def test_jobs_of_one_priority_run_in_the_order_of_their_submission(kind: QueueKind) -> None:
    """First in, first out."""
    submitted = [submit(str(number)) for number in range(5)]
    assert kind.queue.run_all() == 5
    assert kind.queue.ran == submitted


def test_more_urgent_jobs_run_first(kind: QueueKind) -> None:
    """0 before 5 before 9, whenever they came."""
    batch, normal, urgent = (submit(priority=priority) for priority in (9, 5, 0))
    kind.queue.run_all()
    assert kind.queue.ran == [urgent, normal, batch]


def test_a_job_that_has_aged_goes_before_one_that_comes_more_urgent(kind: QueueKind) -> None:
    """A level of priority is worth 30 seconds of waiting, and no more."""
    first = submit(priority=1)
    kind.age(29)
    still_before = submit(priority=0)
    assert kind.queue.run_one() == still_before
    kind.age(2)
    behind = submit(priority=0)
    kind.queue.run_all()
    assert kind.queue.ran == [still_before, first, behind]


def test_the_order_of_a_model_is_its_own(kind: QueueKind) -> None:
    """Jobs of another model between them change nothing."""
    late, other, early = submit(priority=6), submit(model="beta", priority=3), submit(priority=2)
    last = submit(model="beta", priority=8)
    kind.queue.run_all()
    assert [job_id for job_id in kind.queue.ran if job_id in (early, late)] == [early, late]
    assert [job_id for job_id in kind.queue.ran if job_id in (other, last)] == [other, last]


def test_a_job_that_goes_back_is_served_next(kind: QueueKind) -> None:
    """Ahead of those of its level that came after it, before and after it was taken; without an attempt."""
    first, second = submit(), submit()
    message = kind.queue.line.take()
    assert message.job_id == first
    claimed = kind.queue.claim(first, message.publication)
    third = submit()
    kind.publish([kind.queue.service.hand_back(first, claimed.claim)], serve_next=True)
    kind.queue.run_all()
    assert kind.queue.ran == [first, first, second, third]
    assert [job.attempts for job in kind.queue.jobs] == [0, 0, 0]


def test_jobs_that_go_back_together_are_served_in_their_order(kind: QueueKind) -> None:
    """The most urgent is put there last."""
    submitted = [submit(), submit(), submit()]
    taken = [kind.queue.line.take() for _ in submitted[:2]]
    claims = [kind.queue.claim(message.job_id, message.publication).claim for message in taken]
    back = [
        kind.queue.service.hand_back(job_id, claim) for job_id, claim in zip(submitted, claims, strict=False)
    ]
    kind.publish(back[::-1], serve_next=True)
    kind.queue.run_all()
    assert kind.queue.ran[2:] == submitted


def test_a_message_that_is_there_twice_runs_its_job_once(kind: QueueKind) -> None:
    """The second one is void, and so is one that was replaced."""
    job_id, other = submit(), submit()
    message = kind.queue.line.take()
    kind.publish([message, message])
    move_job(job_id, 0)
    assert kind.queue.run_all() == 2
    assert kind.queue.ran == [job_id, other]
    assert kind.queue.line.take() is None


def test_a_message_says_nothing_but_where_to_look(kind: QueueKind) -> None:
    """The same in every kind: id, number, task, model, owner, due time, priority."""
    job_id = submit("secret", priority=3, headers={"key_id": "mine"})
    message = kind.queue.line.take()
    (job,) = kind.queue.jobs
    assert (message.job_id, message.publication, message.task) == (job_id, 1, "tasks.generate")
    assert (message.model, message.key_id, message.priority) == ("alpha", "mine", 3)
    waits_seconds = (message.due_at - kind.queue.database.now()).total_seconds()
    assert 80 < waits_seconds <= 90
    assert job.input == {"prompt": "secret"}


def test_a_moved_job_runs_at_its_new_priority(kind: QueueKind) -> None:
    """And only there."""
    first, moved = submit(), submit(priority=9)
    move_job(moved, 1)
    kind.queue.run_all()
    assert kind.queue.ran == [moved, first]


def test_a_cancelled_job_does_not_run(kind: QueueKind) -> None:
    """Its message is void; who listens is told."""
    cancelled, other = submit(), submit()
    cancel_job(cancelled)
    kind.queue.run_all()
    assert kind.queue.ran == [other]
    assert status(kind, cancelled) is Status.CANCELLED
    assert events(kind, cancelled) == [DONE]


def test_a_job_that_is_cancelled_while_it_runs_keeps_no_answer(kind: QueueKind) -> None:
    """The run's answer comes too late."""
    job_id = submit()
    kind.queue.answers.append(lambda job: cancel_job(job.job_id) or "Too late.")
    kind.queue.run_all()
    assert status(kind, job_id) is Status.CANCELLED
    assert events(kind, job_id) == [STATUS, DONE]
    assert kind.queue.jobs[0].result_data is None


def test_a_failed_attempt_is_held_back_and_then_tried_again(kind: QueueKind) -> None:
    """For 2 and then 4 seconds; readers are told to begin again."""
    job_id = submit()
    for _ in range(2):
        kind.queue.fail("server_error", is_retryable=True)
    assert kind.queue.run_all() == 1
    kind.queue.advance(1.5)
    assert kind.queue.run_all() == 0
    kind.queue.advance(1)
    assert kind.queue.run_all() == 1
    kind.queue.advance(3.5)
    assert kind.queue.run_all() == 0
    kind.queue.advance(1)
    other = submit()
    assert kind.queue.run_all() == 2
    assert kind.queue.ran == [job_id, job_id, job_id, other]
    assert kind.queue.jobs[0].attempts == 2
    assert events(kind, job_id) == [STATUS, STATUS, STATUS, RESTART, STATUS, STATUS, RESTART, TOKEN, DONE]


def test_a_job_that_fails_each_time_ends_after_three_attempts(kind: QueueKind) -> None:
    """And runs again when it is told to, with a new budget."""
    job_id = submit()
    kind.queue.otherwise = Failure("server_error", "Ollama failed.", is_retryable=True)
    assert kind.queue.run_until(lambda: status(kind, job_id) is Status.FAILED)
    assert kind.queue.ran == [job_id] * 3
    with pytest.raises(JobFailed, match="server_error"):
        generate.AsyncResult(job_id).get()
    kind.queue.otherwise = "Better."
    retry_job(job_id)
    assert generate.AsyncResult(job_id).get()["text"] == "Better."


def test_a_job_that_has_not_started_by_its_deadline_expires(kind: QueueKind) -> None:
    """It never runs."""
    late, other = submit(expires=10), submit(expires=60)
    kind.queue.advance(11)
    kind.queue.run_all()
    assert kind.queue.ran == [other]
    assert status(kind, late) is Status.EXPIRED
    assert events(kind, late) == [DONE]


def test_a_delayed_job_waits_outside_the_line(kind: QueueKind) -> None:
    """And then ages from its release."""
    delayed = submit(countdown=20)
    assert kind.queue.line.take() is None
    kind.queue.advance(19)
    first = submit()
    kind.queue.advance(2)
    kind.queue.run_all()
    assert kind.queue.ran == [first, delayed]


def test_a_reader_of_events_goes_on_where_it_was(kind: QueueKind) -> None:
    """By the id of the last event it saw; events of other jobs are not its own."""
    job_id, other = submit(), submit()
    kind.queue.answers.append("Rayleigh.")
    kind.queue.run_all()
    begun, token, done = kind.queue.events.read(job_id)
    assert (begun.type, begun.data) == (STATUS, {"status": "processing"})
    assert (token.type, token.data) == (TOKEN, {"text": "Rayleigh."})
    assert (done.type, done.data) == (DONE, {"status": "completed"})
    assert events(kind, job_id, begun.id) == [TOKEN, DONE]
    assert events(kind, job_id, token.id) == [DONE]
    assert events(kind, job_id, done.id) == []
    assert events(kind, other) == [STATUS, TOKEN, DONE]
