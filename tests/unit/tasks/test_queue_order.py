"""kombu's strategy of ours, and the order in which a consumer asks for its queues."""

from collections.abc import Collection, Iterator
from datetime import timedelta
from typing import Any

import pytest
from celery import Celery
from kombu.utils.scheduling import cycle_by_name

from jobs.instants import utc_now
from jobs.records import Publication
from jobs.round_trips import by_client
from tasks import queue_order
from tasks.publishing import publish
from tasks.queue_order import TurnOrder, direct


class Script:
    """A director that says what the test says, and notes what it is told."""

    def __init__(self, *groups: list[str]) -> None:
        self.answer = list(groups)
        self.asked: list[tuple[list[str], list[str]]] = []
        self.came: list[str] = []

    def groups(self, queues: list[str], running: Collection[str]) -> list[list[str]]:
        self.asked.append((list(queues), list(running)))
        return self.answer

    def may_overlap(self) -> bool:
        return False

    def sent(self, queue: str) -> None:
        self.came.append(queue)


@pytest.fixture(autouse=True)
def no_director() -> Iterator[None]:
    """As every process begins, and as others find it."""
    yield
    direct(None)


def test_kombu_finds_it_by_its_path() -> None:
    """And makes one in every channel, without arguments; each keeps its own queues."""
    made = cycle_by_name("tasks.queue_order:TurnOrder")
    one, other = made(), made()
    one.update(["a", "b"])
    other.update([])
    assert one.consume(2) == ["a", "b"]
    assert other.consume(0) == []


def test_without_a_director_all_queues_are_asked_at_once() -> None:
    """Publishers and other programs have none."""
    order = TurnOrder(["a", "b"])
    assert order.groups(()) == [["a", "b"]]
    assert TurnOrder().groups(()) == []
    assert order.rotate("a") == "a"


def test_a_director_decides_and_hears_what_came() -> None:
    """It may leave queues out."""
    director = Script(["b"], ["c"])
    direct(director)
    order = TurnOrder(["a", "b", "c"])
    assert order.groups(["a"]) == [["b"], ["c"]]
    assert order.consume(1) == ["b"]
    order.rotate("b")
    assert director.came == ["b"]
    assert director.asked[0] == (["a", "b", "c"], ["a"])


def test_a_channel_without_queues_asks_nobody() -> None:
    """Those that only publish, and the one for remote control."""
    director = Script(["a"])
    direct(director)
    assert TurnOrder().groups(()) == []
    assert director.asked == []
    assert queue_order.director is director


# --- with a broker ----------------------------------------------------------------------------------


def _line_up(client: Any, job_id: str, model: str, level: int) -> None:
    due_at = utc_now() + timedelta(seconds=level * 30.0)
    publication = Publication(job_id, 1, "tasks.generate", model, "k", due_at, level)
    assert publish(by_client(client), [publication], ageing_seconds=30.0)


class Consumer:
    """Takes messages as a worker does, and keeps them unacknowledged."""

    def __init__(self, app: Celery, *queues: str) -> None:
        self.received: list[Any] = []
        self.connection = app.connection_for_read()
        channel = self.connection.default_channel
        bound = [app.amqp.queues[queue] for queue in queues]
        self._consumer = app.amqp.TaskConsumer(
            channel, queues=bound, on_message=self.received.append, accept=["json"]
        )
        self._consumer.consume()

    def take(self) -> str | None:
        """The id of the next one; None when nothing comes."""
        before = len(self.received)
        try:
            self.connection.drain_events(timeout=0.5)
        except TimeoutError:
            return None
        (message,) = self.received[before:]
        return str(message.headers["id"])

    def close(self) -> None:
        self.connection.close()


@pytest.fixture
def consumer(broker_app: Celery) -> Iterator[Consumer]:
    made = Consumer(broker_app, "ollama.a", "ollama.b", "ollama.c")
    yield made
    made.close()


def test_a_later_group_waits_whatever_its_level(real_redis: Any, consumer: Consumer) -> None:
    """kombu itself would take the most urgent of all queues."""
    direct(Script(["ollama.a"], ["ollama.b", "ollama.c"]))
    _line_up(real_redis, "late", "a", 9)
    _line_up(real_redis, "urgent", "b", 0)
    _line_up(real_redis, "high", "c", 0)
    assert [consumer.take() for _ in range(3)] == ["late", "urgent", "high"]


def test_a_queue_that_is_left_out_is_not_asked(real_redis: Any, consumer: Consumer) -> None:
    """It stays consumed from, so that Flower shows it."""
    director = Script(["ollama.a"])
    direct(director)
    _line_up(real_redis, "later", "b", 0)
    assert consumer.take() is None
    director.answer = [["ollama.b"]]
    assert consumer.take() == "later"
    assert director.came == ["ollama.b"]


def test_nothing_at_all_may_be_asked(real_redis: Any, consumer: Consumer) -> None:
    """The consumer asks again later."""
    director = Script()
    direct(director)
    _line_up(real_redis, "j", "a", 5)
    assert consumer.take() is None
    director.answer = [["ollama.a"]]
    assert consumer.take() == "j"


def test_the_director_knows_what_is_out(real_redis: Any, consumer: Consumer) -> None:
    """From its message's coming to its acknowledgement, whatever that says."""
    director = Script(["ollama.a", "ollama.b"])
    direct(director)
    for job_id, model in (("one", "a"), ("two", "a"), ("three", "b")):
        _line_up(real_redis, job_id, model, 5)
    assert [consumer.take() for _ in range(3)] == ["one", "two", "three"]
    consumer.received[0].ack()
    consumer.received[1].reject()
    assert consumer.take() is None
    assert director.asked[-1][1] == ["ollama.b"]
