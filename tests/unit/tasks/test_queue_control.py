"""Pausing and clearing a model's queue: rows, messages and whoever listens."""

import json
from typing import Any

import pytest
import redis

from jobs.changes import as_publication
from jobs.events import LIVE_PREFIX, EventWriter, read_events
from jobs.pauses import paused_models
from jobs.round_trips import by_client
from jobs.states import Status
from tasks import queue_control
from tasks.publishing import publish
from tasks.queue_lists import list_names, queue_name
from tasks.resources import Resources
from tests.support.jobs import row, submit


@pytest.fixture
def on_valkey(resources: Resources, real_redis: Any) -> Resources:
    """The resources on a real Redis."""
    resources.__dict__.update(redis=real_redis, events=EventWriter(real_redis))
    return resources


def line_up(resources: Resources, *job_ids: str) -> None:
    jobs = [row(resources.service, job_id) for job_id in job_ids]
    assert publish(by_client(resources.redis), [as_publication(job) for job in jobs], ageing_seconds=30.0)


def lined_up(resources: Resources, model: str = "alpha") -> list[str]:
    """The ids of a model's messages in the order in which they will be served."""
    served: list[str] = []
    for name in list_names(queue_name(model)):
        texts: Any = resources.redis.lrange(name, 0, -1)
        served += [json.loads(text)["headers"]["id"] for text in reversed(texts)]
    return served


def test_pausing_tells_workers_at_once(on_valkey: Resources) -> None:
    """And resuming does."""
    queue_control.pause("alpha")
    assert paused_models(on_valkey.redis) == {"alpha"}
    queue_control.resume("alpha")
    assert paused_models(on_valkey.redis) == set()


def test_clearing_takes_the_messages_along(on_valkey: Resources) -> None:
    """Nothing stays in Redis for workers to look at in vain."""
    submitted = [submit(on_valkey.service, priority=priority) for priority in (0, 5, 9)]
    line_up(on_valkey, *submitted)
    assert queue_control.clear("alpha") == 3
    assert lined_up(on_valkey) == []
    assert not list(on_valkey.redis.scan_iter("paddock:clearing:*"))


def test_messages_that_stand_for_pending_jobs_stay_in_their_order(
    on_valkey: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message of a job that came meanwhile is kept where it was."""
    monkeypatch.setattr(queue_control, "CHUNK", 2)
    submitted = [submit(on_valkey.service) for _ in range(7)]
    line_up(on_valkey, *submitted)
    before = lined_up(on_valkey)
    for job_id in submitted[1::2]:
        on_valkey.service.cancel(job_id)
    queue_control.drop_void_messages("alpha")
    assert lined_up(on_valkey) == [job_id for job_id in before if job_id in submitted[0::2]]


def test_other_models_keep_their_messages(on_valkey: Resources) -> None:
    """Clearing is of one model."""
    job_id = submit(on_valkey.service, model="beta")
    line_up(on_valkey, job_id)
    submit(on_valkey.service)
    assert queue_control.clear("alpha") == 1
    assert lined_up(on_valkey, "beta") == [job_id]


def test_only_who_listens_is_told(on_valkey: Resources) -> None:
    """A job that nobody listens to gets no stream of its own in Redis."""
    heard, unheard = submit(on_valkey.service), submit(on_valkey.service)
    with on_valkey.redis.pubsub() as reader:
        reader.subscribe(LIVE_PREFIX + heard)
        assert reader.get_message(timeout=5)
        queue_control.clear("alpha")
    (event,) = read_events(on_valkey.redis, heard)
    assert (event.type, event.data) == ("done", {"status": "cancelled"})
    assert list(read_events(on_valkey.redis, unheard)) == []


def test_without_redis_the_rows_are_changed_all_the_same(resources: Resources) -> None:
    """The rest follows: messages are void, readers look at the row, the keeper tells the workers."""
    away = redis.Redis.from_url("unix:///tmp/no-such.sock", decode_responses=True)
    resources.__dict__.update(redis=away, events=EventWriter(away))
    job_id = submit(resources.service)
    queue_control.pause("alpha")
    assert queue_control.clear("alpha") == 1
    assert row(resources.service, job_id).status == Status.CANCELLED
