"""The message about a job: what it says, where it lies, and what happens while Redis is away."""

import base64
import json
from datetime import timedelta
from typing import Any

import pytest
import redis
from celery import Celery

from jobs import breaker
from jobs.instants import isoformat, utc_now
from jobs.records import Publication
from jobs.round_trips import by_client
from tasks.publishing import publish
from tasks.queue_lists import list_names, queue_name
from tests.support.clock import Clock

PROMPT = "my secret prompt"
AGEING = 30.0


def _publication(job_id: str = "j1", *, due_seconds: float = 100.0) -> Publication:
    due_at = utc_now() + timedelta(seconds=due_seconds)
    return Publication(job_id, 3, "tasks.generate", "alpha:8b", "k1", due_at, 7)


def _messages(client: Any, level: int) -> list[dict[str, Any]]:
    return [json.loads(text) for text in client.lrange(list_names("ollama.alpha:8b")[level], 0, -1)]


def test_a_message_says_where_to_look(real_redis: Any) -> None:
    """The job's id, the publication and its place in the order; arguments it has none."""
    publication = _publication()
    assert publish(by_client(real_redis), [publication], ageing_seconds=AGEING)
    (message,) = _messages(real_redis, 4)
    headers = message["headers"]
    assert (headers["id"], headers["task"]) == ("j1", "tasks.generate")
    assert (headers["publication"], headers["level"], headers["key_id"]) == (3, 4, "k1")
    assert headers["submitted_level"] == 7
    assert headers["due_at"] == isoformat(publication.due_at)
    assert (headers["argsrepr"], headers["kwargsrepr"]) == ("alpha:8b", "")
    assert message["properties"]["priority"] == 4
    args, kwargs, _ = json.loads(base64.b64decode(message["body"]))
    assert (args, kwargs) == ([], {})


@pytest.mark.parametrize(("due_seconds", "level"), [(-1000, 0), (1, 1), (31, 2), (10_000, 9)])
def test_a_message_lies_at_the_level_of_the_moment(real_redis: Any, due_seconds: float, level: int) -> None:
    """Whatever priority the job was submitted with: it has aged since."""
    publish(by_client(real_redis), [_publication(due_seconds=due_seconds)], ageing_seconds=AGEING)
    assert len(_messages(real_redis, level)) == 1


def test_the_next_message_goes_behind_and_a_returning_one_in_front(real_redis: Any) -> None:
    """kombu takes from the right: new ones are put at the left, one that goes back at the right."""
    for job_id in ("first", "second"):
        publish(by_client(real_redis), [_publication(job_id)], ageing_seconds=AGEING)
    publish(by_client(real_redis), [_publication("returning")], ageing_seconds=AGEING, serve_next=True)
    served = [message["headers"]["id"] for message in reversed(_messages(real_redis, 4))]
    assert served == ["returning", "first", "second"]


def test_a_message_is_served_as_it_was_sent(broker_app: Celery, real_redis: Any) -> None:
    """Both kinds are messages that kombu can read."""
    publish(by_client(real_redis), [_publication("new")], ageing_seconds=AGEING)
    publish(by_client(real_redis), [_publication("returning")], ageing_seconds=AGEING, serve_next=True)
    with broker_app.connection_for_read() as connection:
        queue = connection.SimpleQueue(queue_name("alpha:8b"), queue_opts={"max_priority": None})
        received = [queue.get(timeout=5) for _ in range(2)]
        assert [message.headers["id"] for message in received] == ["returning", "new"]
        for message in received:
            message.ack()
        queue.close()


def test_what_is_away_is_not_an_error(caplog: Any) -> None:
    """The caller learns that the broker has nothing; the log names the job and nothing of it."""

    client = redis.Redis.from_url("redis://user:password@127.0.0.1:1")
    assert not publish(by_client(client), [_publication()], ageing_seconds=AGEING)
    assert "j1" in caplog.text
    assert "password" not in caplog.text


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that stands still until it is told."""
    found = Clock(100.0)
    monkeypatch.setattr(breaker, "time", found)
    return found


class Away:
    """A Redis that is away until second 102 of the clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.tried: list[float] = []

    def __call__(self, _commands: Any) -> list[Any]:
        self.tried.append(self._clock.now)
        if self._clock.now < 102:
            raise redis.ConnectionError
        return []


def test_while_it_is_open_nothing_is_sent(clock: Clock) -> None:
    """A submit with Redis away costs one try a second and not one each."""
    away = Away(clock)
    outcomes = []
    for second in (0.0, 0.5, 1.0, 1.5, 2.0, 2.1):
        clock.now = 100.0 + second
        outcomes.append(publish(away, [_publication()], ageing_seconds=AGEING))
    assert away.tried == [100.0, 101.0, 102.0, 102.1]
    assert outcomes == [False, False, False, False, True, True]


def test_several_are_sent_in_their_order(real_redis: Any) -> None:
    """New ones are served in their order; of those that go back the last one is served first."""
    jobs = [_publication(job_id) for job_id in ("a", "b", "c")]
    assert publish(by_client(real_redis), jobs, ageing_seconds=AGEING)
    assert publish(
        by_client(real_redis),
        [_publication(job_id) for job_id in ("d", "e")],
        ageing_seconds=AGEING,
        serve_next=True,
    )
    served = [message["headers"]["id"] for message in reversed(_messages(real_redis, 4))]
    assert served == ["e", "d", "a", "b", "c"]


def test_nothing_to_publish_is_published(clock: Clock) -> None:
    """Also while Redis is away."""
    away = Away(clock)
    assert publish(away, [], ageing_seconds=AGEING)
    assert away.tried == []
