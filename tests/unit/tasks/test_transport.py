"""What a consumer has taken, in Redis: soon, together, and before anything reads it there."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from kombu import Connection, Consumer, Queue
from kombu.asynchronous import Hub as KombuHub
from kombu.asynchronous import set_event_loop

from jobs.scheduling.overlap import ROUNDS
from tasks import queue_order, transport
from tasks.transport import OVERLAPS

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


def test_the_loop_is_known_again_after_a_loss(real_redis: redis.Redis) -> None:
    """Celery closes it then, and kombu forgets it; what is taken later is noted later all the same."""
    socket = real_redis.connection_pool.connection_kwargs["path"]
    loop = KombuHub()
    loop.close()
    with Connection(f"redis+socket://{socket}", transport=transport.Transport) as connection:
        connection.connect()
        connection.transport.register_with_event_loop(connection.connection, loop)
        assert transport.get_event_loop() is loop
    set_event_loop(None)


def test_a_message_is_handed_on_before_the_next_is_asked_for(
    hub: Hub, take: Callable[[int], list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asking takes a look into Redis, which a child with nothing to do would wait for."""
    order: list[str] = []
    start = transport.Channel._brpop_start

    def ask(channel: Any, *args: Any, **options: Any) -> None:
        order.append("asked")
        start(channel, *args, **options)

    monkeypatch.setattr(transport.Channel, "_brpop_start", ask)
    monkeypatch.setattr(transport, "hand_on", lambda: order.append("handed on"))
    take(2)
    assert order == ["asked", "handed on"] * 2


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


class Director:
    """Lets the worker take more, or does not; otherwise all queues are asked."""

    def __init__(self) -> None:
        self.lets = True

    def groups(self, queues: list[str], _running: object) -> list[list[str]]:
        return [queues]

    def may_overlap(self) -> bool:
        return self.lets

    def sent(self, queue: str) -> None:
        pass


@pytest.fixture
def director(monkeypatch: pytest.MonkeyPatch) -> Director:
    found = Director()
    monkeypatch.setattr(queue_order, "director", found)
    return found


def _take_short_jobs(take: Callable[[int], list[Any]]) -> Any:
    """Takes and acknowledges as many as it takes to know that they are short; answers their QoS."""
    taken = take(1)
    qos = taken[0].channel.qos
    qos.prefetch_count = 1  # as the settings of a test have it
    taken[0].ack()
    for _ in range(ROUNDS):
        take(1)[-1].ack()
    return qos


def test_while_jobs_are_short_more_are_taken_than_there_are_slots(
    hub: Hub, take: Callable[[int], list[Any]], director: Director
) -> None:
    """The first beyond them is told its child, and its message in Redis is as it came."""
    qos = _take_short_jobs(take)
    running = take(1)[-1]
    assert OVERLAPS not in running.headers
    assert qos.can_consume()
    beyond = take(1)[-1]
    assert beyond.headers[OVERLAPS] is True
    assert OVERLAPS not in beyond._raw["headers"]
    assert not qos.can_consume()
    running.ack()
    assert qos.can_consume()


def test_no_more_are_taken_where_the_order_forbids_it(
    hub: Hub, take: Callable[[int], list[Any]], director: Director, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another model's turn is about to begin; a program without a director takes what kombu lets it."""
    qos = _take_short_jobs(take)
    take(1)
    director.lets = False
    assert not qos.can_consume()
    director.lets = True
    assert qos.can_consume()
    monkeypatch.setattr(queue_order, "director", None)
    assert not qos.can_consume()


def test_what_was_asked_for_is_taken(hub: Hub, take: Callable[[int], list[Any]], director: Director) -> None:
    """Or a message that has left its queue would lie in a socket until a slot is free."""
    qos = _take_short_jobs(take)
    take(1)
    director.lets = False
    qos.channel._in_poll = qos.channel.client.connection
    assert qos.can_consume()
    qos.channel._in_poll = None
    assert not qos.can_consume()


def test_what_goes_back_is_out_no_more(
    hub: Hub, take: Callable[[int], list[Any]], director: Director
) -> None:
    """Its slot is another's."""
    qos = _take_short_jobs(take)
    take(1)[-1].requeue()
    assert OVERLAPS not in take(1)[-1].headers
    assert qos.can_consume()


def test_without_an_event_loop_it_is_noted_at_once(
    take: Callable[[int], list[Any]], real_redis: redis.Redis
) -> None:
    """A consumer of another kind never comes back to it."""
    (message,) = take(1)
    assert noted(real_redis) == 1
    message.ack()
    assert noted(real_redis) == 0
