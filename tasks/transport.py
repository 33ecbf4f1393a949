"""
kombu's Redis transport, but for three things.

A consumer asks for queues in groups, one after the other. kombu mixes all queues level by
level; in groups the next model's turn begins in the same moment as the queue of this one is
empty, and nobody has to look first.

A message goes on to its child at once: before Redis has noted that it was taken, and before the next
one is asked for. kombu asks Redis first, and once more when the job is done: round trips in which the
parent does nothing else.

While jobs are short a few more messages are taken than there are slots; kombu knows a fixed number.
"""

from time import monotonic, time
from typing import Any

from kombu.asynchronous import get_event_loop, set_event_loop
from kombu.transport import redis, virtual
from kombu.utils.json import dumps

from jobs.scheduling import Overlap
from settings import get_settings
from tasks import queue_order

NOTE_SECONDS = 0.01
OVERLAPS = "overlaps"  # a header, for the child: this job has to wait for a slot inside Ollama


def hand_on() -> None:
    """What is done with a message that came; a worker's pool puts its own in this place."""


class QoS(redis.QoS):
    """
    What a consumer has taken and not acknowledged yet: in memory at once, in Redis soon after.

    A parent that ends in between loses nothing: a job whose message is gone is published again, and
    a message of a job that is done is void.
    """

    def __init__(self, channel: Any, prefetch_count: int = 0) -> None:
        super().__init__(channel, prefetch_count)
        self._taken: dict[str, tuple[float, Any]] = {}
        self._settled: list[str] = []
        self._is_due = False
        self._overlap = Overlap(get_settings().concurrency)

    def can_consume(self) -> bool:
        """Whether one more message may be taken; what has been asked for is taken in any case."""
        if self.channel._in_poll or super().can_consume():
            return True
        director = queue_order.director
        if director is None:
            return False
        beyond = len(self._delivered) - len(self._dirty) - self.prefetch_count
        return beyond < self._overlap.room(monotonic()) and director.may_overlap()

    def append(self, message: Any, delivery_tag: str) -> None:
        if self._overlap.sent(delivery_tag, message.delivery_info["routing_key"], monotonic()):
            message.headers = {**message.headers, OVERLAPS: True}
        self._taken[delivery_tag] = (time(), message)
        virtual.QoS.append(self, message, delivery_tag)
        self._note_soon()

    def ack(self, delivery_tag: str) -> None:
        self._overlap.ended(delivery_tag, monotonic())
        if self._taken.pop(delivery_tag, None) is None:
            self._settled.append(delivery_tag)
            self._note_soon()
        virtual.QoS.ack(self, delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        if not requeue:
            self.ack(delivery_tag)
            return
        self._overlap.ended(delivery_tag, monotonic())
        self.note()
        super().reject(delivery_tag, requeue=True)

    def restore_unacked(self, client: Any = None) -> None:
        self.note()
        super().restore_unacked(client)

    def note(self) -> None:
        """Write what has not been written yet; `redis.RedisError` loses it, as a lost connection does."""
        self._is_due = False
        taken, self._taken = self._taken, {}
        settled, self._settled = self._settled, []
        if not taken and not settled:
            return
        with self.channel.conn_or_acquire() as client, client.pipeline() as pipeline:
            if taken:
                pipeline.zadd(self.unacked_index_key, {tag: at for tag, (at, _) in taken.items()})
                pipeline.hset(
                    self.unacked_key, mapping={tag: _packed(one) for tag, (_, one) in taken.items()}
                )
            if settled:
                pipeline.zrem(self.unacked_index_key, *settled)
                pipeline.hdel(self.unacked_key, *settled)
            pipeline.execute()

    def _note_soon(self) -> None:
        hub = get_event_loop()
        if hub is None:  # nobody would come back to it
            self.note()
        elif not self._is_due:
            self._is_due = True
            hub.call_later(NOTE_SECONDS, self.note)


def _packed(message: Any) -> str:
    """As kombu's `restore_by_tag` reads it."""
    packed: str = dumps(
        [message._raw, message.delivery_info["exchange"], message.delivery_info["routing_key"]]
    )
    return packed


class Channel(redis.Channel):
    QoS = QoS

    def _brpop_start(self, timeout: float | None = None) -> None:
        """As kombu's own, but for the order of the lists."""
        lists = [
            self._q_for_pri(queue, level)
            for group in self._queue_cycle.groups(self._running())
            for level in self.priority_steps
            for queue in group
        ]
        if not lists:
            return
        self._in_poll = self.client.connection
        self._brpop_sent_at = monotonic()  # type: ignore[assignment]  # kombu's own type is that of its default
        seconds = self.brpop_timeout if timeout is None else timeout
        self.client.connection.send_command("BRPOP", *lists, seconds or 0)

    def _brpop_read(self, **options: Any) -> Any:
        came = super()._brpop_read(**options)
        hand_on()
        return came

    def _running(self) -> list[str]:
        """The queues of the messages that came and are not acknowledged yet, one each."""
        delivered, done = self.qos._delivered, self.qos._dirty
        return [message.delivery_info["routing_key"] for tag, message in delivered.items() if tag not in done]


class Transport(redis.Transport):
    Channel = Channel

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        """Called by Celery, anew after each loss of the broker: the loop was closed then, and forgotten."""
        set_event_loop(loop)
        super().register_with_event_loop(connection, loop)
