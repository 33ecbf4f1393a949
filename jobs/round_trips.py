"""
Several commands to Redis in one round trip, which is raised as `redis.RedisError` if it fails.

By a client of many threads, or on a connection of one's own: pool and client cost a worker's child five
times what a command does on the connection.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import redis

Command = tuple[Any, ...]
RoundTrip = Callable[[Sequence[Command]], list[Any]]


def by_client(client: redis.Redis) -> RoundTrip:
    """Any thread may use it."""

    def send(commands: Sequence[Command]) -> list[Any]:
        with client.pipeline(transaction=False) as pipeline:
            for command in commands:
                pipeline.execute_command(*command)  # type: ignore[no-untyped-call]
            replies: list[Any] = pipeline.execute()
        return replies

    return send


class OwnConnection:
    """
    One connection; whoever uses it sees to it that no two threads do at once.

    Args:
        client: Where to connect, which is done at the first use, and how.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._connection: Any = client.connection_pool.make_connection()

    def __call__(self, commands: Sequence[Command]) -> list[Any]:
        """Send them and return their replies, raw; a connection that was lost meanwhile is made anew once."""
        try:
            return self._send(commands)
        except redis.ConnectionError:
            return self._send(commands)

    def _send(self, commands: Sequence[Command]) -> list[Any]:
        connection = self._connection
        try:
            connection.send_packed_command(connection.pack_commands(commands))
            return [connection.read_response() for _ in commands]
        except BaseException:  # replies may be left on it, which would be taken for the next ones
            connection.disconnect()
            raise


class OwnConnections:
    """As many of them as are in use at once; any thread may use it, but no process forked later."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._idle: deque[OwnConnection] = deque()

    def __call__(self, commands: Sequence[Command]) -> list[Any]:
        """Send them, and return their replies."""
        try:
            own = self._idle.pop()
        except IndexError:
            own = OwnConnection(self._client)
        try:
            return own(commands)
        finally:
            self._idle.append(own)
