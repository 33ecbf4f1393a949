"""What a consumer has taken, in Redis: soon, together, and before anything reads it there."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from kombu import Connection, Consumer, Queue

from tasks import transport

KEY, INDEX = "unacked", "unacked_index"
OPTIONS = {"queue_order_strategy": "tasks.queue_order:TurnOrder"}


class Hub:
    """Celery's event loop, of which only what is to be done later is asked."""

    def __init__(self) -> None:
        self.later: list[Callable[[], None]] = []

    def call_later(self, _seconds: float, what: Callable[[], None]) -> None:
        self.later.append(what)

    def run(self) -> None:
        later, self.later = self.later, []
        for what in later:
            what()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    found = Hub()
    monkeypatch.setattr(transport, "get_event_loop", lambda: found)
    return found


@pytest.fixture
def take(real_redis: redis.Redis) -> Iterator[Callable[[int], list[Any]]]:
    """Publishes so many messages and takes them."""
    socket = real_redis.connection_pool.connection_kwargs["path"]
    taken: list[Any] = []
    with (
        Connection(
            f"redis+socket://{socket}", transport=transport.Transport, transport_options=OPTIONS
        ) as connection,
        connection.Producer() as producer,
    ):
        consumer = Consumer(connection.channel(), [Queue("q")], on_message=taken.append, accept=["json"])

        def publish_and_take(count: int) -> list[Any]:
            for number in range(count):
                producer.publish({"number": number}, routing_key="q", declare=[Queue("q")])
            with consumer:
                for _ in range(count):
                    connection.drain_events(timeout=5)
            return taken

        yield publish_and_take


def noted(client: redis.Redis) -> int:
    count = client.hlen(KEY)
    assert client.zcard(INDEX) == count
    return int(count)


def test_what_was_taken_is_noted_soon_and_together(
    hub: Hub, take: Callable[[int], list[Any]], real_redis: redis.Redis
) -> None:
    """One note for all of it; an acknowledgement takes its own away again."""
    messages = take(3)
    assert (noted(real_redis), len(hub.later)) == (0, 1)
    hub.run()
    assert noted(real_redis) == 3
    packed = json.loads(real_redis.hget(KEY, messages[0].delivery_tag))
    assert packed[1:] == ["", "q"]
    messages[0].ack()
    messages[1].reject()
    assert (noted(real_redis), len(hub.later)) == (3, 1)
    hub.run()
    assert real_redis.hkeys(KEY) == [messages[2].delivery_tag]


def test_what_is_done_at_once_is_never_noted(
    hub: Hub, take: Callable[[int], list[Any]], real_redis: redis.Redis
) -> None:
    """Its acknowledgement must not come before its note."""
    for message in take(2):
        message.ack()
    hub.run()
    assert noted(real_redis) == 0


def test_what_goes_back_is_noted_before(
    hub: Hub, take: Callable[[int], list[Any]], real_redis: redis.Redis
) -> None:
    """kombu takes it from there."""
    message, _ = take(2)
    message.requeue()
    assert real_redis.llen("q") == 1
    assert noted(real_redis) == 1
    message.channel.qos.restore_unacked()
    assert (real_redis.llen("q"), noted(real_redis)) == (2, 0)
    hub.run()
    assert noted(real_redis) == 0


def test_without_an_event_loop_it_is_noted_at_once(
    take: Callable[[int], list[Any]], real_redis: redis.Redis
) -> None:
    """A consumer of another kind never comes back to it."""
    (message,) = take(1)
    assert noted(real_redis) == 1
    message.ack()
    assert noted(real_redis) == 0
