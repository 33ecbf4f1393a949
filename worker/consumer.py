"""
Celery's consumer, which is back sooner when the broker was away, and outlives its loss.

kombu waits 2, 4, 6 … 30 s between its tries to connect; all timers stand still meanwhile.
"""

import logging
from functools import partial
from typing import Any

import redis
from celery.concurrency.asynpool import AsynPool
from celery.worker.consumer import Consumer as CeleryConsumer
from kombu.transport.redis import Channel

FIRST_WAIT_SECONDS = 0.2
MORE_WAIT_SECONDS = 0.2
LONGEST_WAIT_SECONDS = 1.0
log = logging.getLogger(__name__)


def refuse_closed_channels() -> None:
    """
    Let kombu's channels say that they are closed.

    A job that ends after its broker was away is acknowledged on the channel that it came by. That
    one has no connection any more, and kombu lets an AttributeError out of it, which nobody
    catches, and the parent ends. A connection error is only logged there; the
    message is void by then.
    """
    connection_parameters = Channel._connparams

    def checked(channel: Any, asynchronous: bool = False) -> Any:
        if channel.connection is None or channel.connection.client is None:
            raise redis.ConnectionError("this channel is closed")
        return connection_parameters(channel, asynchronous)

    Channel._connparams = checked  # type: ignore[method-assign]


def watch_children_anew() -> None:
    """
    Let Celery's pool watch a child again that it has stopped watching though it lives.

    Children that are killed together close several descriptors before the loop has seen all of their
    ends; the number of one is a new child's by then, and the end that is seen next is taken for its.
    At the next loss of the broker the pool watches all of them again, finds no descriptor, and the
    parent ends.
    """
    watch = AsynPool._track_child_process

    def checked(pool: Any, process: Any, hub: Any) -> None:
        if getattr(process, "_sentinel_poll", 0) is None:
            if process._popen is None or process._popen.sentinel is None:
                return  # it has ended, and the pool is about to see that
            del process._sentinel_poll
        watch(pool, process, hub)

    AsynPool._track_child_process = checked


class Consumer(CeleryConsumer):
    """The consumer of a worker's parent; `app.conf.worker_consumer` names it."""

    def ensure_connected(self, conn: Any) -> Any:
        """Connect, trying at least once a second."""
        conn.ensure_connection = partial(
            conn.ensure_connection,
            interval_start=FIRST_WAIT_SECONDS,
            interval_step=MORE_WAIT_SECONDS,
            interval_max=LONGEST_WAIT_SECONDS,
        )
        return super().ensure_connected(conn)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Let go of the lost connection."""
        try:
            super().on_connection_error_after_connected(exc)
        except AttributeError as error:
            # kombu's channel gives back what was not acknowledged as it closes, over a connection
            # that has let go of its address by then. Reconciler and leases see to those messages.
            log.warning("the lost connection was not closed cleanly: %s", error)
