"""
kombu's Redis transport, with a way to put a message at the serving end of its list.

A job that goes back to its queue (worker lost, outage) has waited already; at the
other end it would wait behind everything that came since.
"""

from typing import Any

from kombu.transport import redis
from kombu.utils.json import dumps

SERVE_NEXT_HEADER = "serve_next"


class Channel(redis.Channel):
    def _put(self, queue: str, message: dict[str, Any], **kwargs: Any) -> None:
        if not message["headers"].get(SERVE_NEXT_HEADER):
            super()._put(queue, message, **kwargs)
            return
        level = self._get_message_priority(message, reverse=False)
        with self.conn_or_acquire() as client:
            client.rpush(self._q_for_pri(queue, level), dumps(message))


class Transport(redis.Transport):
    Channel = Channel
