"""What a worker had taken goes back to where the next job is taken from, when the worker is gone."""

import json
import time
from datetime import timedelta
from typing import Any

from celery import Celery

from jobs.instants import utc_now
from jobs.records import Publication
from jobs.round_trips import by_client
from tasks.messages import make_message
from tasks.publishing import publish
from tasks.queue_lists import list_names, queue_name
from tasks.taken_messages import give_back, taken_keys, transport_options
from tests.support.lined_up import lined_up

WORKER = "w1@gpu"
AGEING_SECONDS = 30.0


def _publication(job_id: str, *, due_in: float, level: int = 5) -> Publication:
    return Publication(
        job_id, 1, "tasks.generate", "alpha", "k1", utc_now() + timedelta(seconds=due_in), level
    )


def _take(client: Any, publication: Publication, *, worker: str = WORKER) -> None:
    """As kombu notes it."""
    message = make_message(publication, queue_name(publication.model), publication.priority)
    _note(client, publication.job_id, json.loads(message), queue_name(publication.model), worker)


def _note(client: Any, tag: str, message: dict[str, Any], queue: str, worker: str = WORKER) -> None:
    taken, taken_at = taken_keys(worker)
    client.hset(taken, tag, json.dumps([message, "", queue]))
    client.zadd(taken_at, {tag: time.time()})


def _give_back(client: Any) -> int:
    return give_back(client, WORKER, ageing_seconds=AGEING_SECONDS)


def test_it_is_served_next_by_due_time(redis_client: Any) -> None:
    """Before what waits at its level."""
    assert publish(
        by_client(redis_client), [_publication("waits", due_in=125)], ageing_seconds=AGEING_SECONDS
    )
    for job_id, due_in in (("second", 130), ("first", 125), ("third", 140)):
        _take(redis_client, _publication(job_id, due_in=due_in))
    assert _give_back(redis_client) == 3
    assert lined_up(redis_client, "alpha") == {5: ["first", "second", "third", "waits"]}


def test_it_has_aged_meanwhile(redis_client: Any) -> None:
    """Its due time says the level, and not the one it was published at."""
    _take(redis_client, _publication("aged", due_in=45, level=5))
    _give_back(redis_client)
    assert lined_up(redis_client, "alpha") == {2: ["aged"]}


def test_another_programs_message_goes_back_as_it_was(redis_client: Any) -> None:
    """It has no due time; its own priority counts, where it has one."""
    foreign = {"body": "e30=", "headers": {"id": "f", "empty": []}, "properties": {"priority": 3}}
    bare = {"body": "e30=", "headers": {}, "properties": {}}
    _note(redis_client, "f", foreign, "celery")
    _note(redis_client, "b", bare, "celery")
    assert _give_back(redis_client) == 2
    assert json.loads(redis_client.lindex(list_names("celery")[3], 0)) == foreign
    assert json.loads(redis_client.lindex(list_names("celery")[0], 0)) == bare


def test_only_the_lost_workers(redis_client: Any) -> None:
    """Nothing of it is left; another worker's notes stay."""
    _take(redis_client, _publication("ours", due_in=125))
    _take(redis_client, _publication("theirs", due_in=125), worker="w2@gpu")
    assert [_give_back(redis_client), _give_back(redis_client)] == [1, 0]
    assert [redis_client.exists(key) for key in taken_keys(WORKER)] == [0, 0]
    assert redis_client.hkeys(taken_keys("w2@gpu")[0]) == ["theirs"]


def test_kombu_notes_it_there(broker_app: Celery, real_redis: Any) -> None:
    """By the transport options of the worker's connection; what it acknowledges is no longer noted."""
    assert publish(by_client(real_redis), [_publication("taken", due_in=125)], ageing_seconds=AGEING_SECONDS)
    with broker_app.connection_for_read(transport_options=transport_options(WORKER)) as connection:
        queue = connection.SimpleQueue("ollama.alpha", queue_opts={"max_priority": None})
        message = queue.get(timeout=5)
        taken, taken_at = taken_keys(WORKER)
        assert real_redis.hkeys(taken) == real_redis.zrange(taken_at, 0, -1) == [message.delivery_tag]
        message.ack()
        assert (real_redis.exists(taken), real_redis.exists(taken_at)) == (0, 0)
