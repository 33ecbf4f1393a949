"""
Celery's consumer, which is back sooner when the broker was away, and outlives its loss.

kombu waits 2, 4, 6 … 30 s between its tries to connect; all timers stand still meanwhile.
"""

import logging
from functools import partial
from typing import Any

import redis
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
