"""
Events as they happen: one Redis connection for all readers of this process.

A reader subscribes to a job and gets what the job's live channel carries; the
connection is subscribed to the channels that somebody reads, and to no other. A
reader that is too slow, or that was there while Redis was away, gets MISSED and
looks at the stream and the row again. Works on threads and, monkey-patched, on
gevent's greenlets.
"""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import redis
from flask import Flask, current_app
from redis.backoff import NoBackoff
from redis.retry import Retry

from api.subscription import LiveEvent, Subscription
from jobs.events import LIVE_PREFIX
from settings import Settings

log = logging.getLogger(__name__)

CONFIRM_SECONDS = 1.0
PING_SECONDS = 5.0
CONNECT_SECONDS = 2.0
RECONNECT_SECONDS = (0.1, 0.2, 0.5, 1.0)
_EXTENSION = "paddock.live"
_ALIVE_CHANNEL = "paddock:live"  # nobody writes to it; it keeps the connection in its subscribed state


class _Channel:
    """A job that somebody reads; `confirmed` once Redis has said that it sends."""

    def __init__(self) -> None:
        self.confirmed = threading.Event()
        self.readers: tuple[Subscription, ...] = ()  # replaced, never changed: it is read without the lock


class LiveEvents:
    """
    The process's connection and its readers.

    Args:
        connect: Makes an unconnected `redis.Connection` that answers text and speaks RESP2.
    """

    def __init__(self, connect: Callable[[], Any]) -> None:
        self._connect = connect
        self._lock = threading.RLock()
        self._channels: dict[str, _Channel] = {}
        self._unconfirmed: Counter[str] = Counter()
        self._connection: Any = None
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    @property
    def is_connected(self) -> bool:
        return self._connection is not None

    @contextmanager
    def subscribe(
        self, job_id: str, *, only: frozenset[str] | None = None, is_new: bool = False
    ) -> Iterator[Subscription]:
        """
        Read a job's events; whatever happens after this begins is delivered or MISSED.

        While Redis is away it begins all the same: the reader must look at the row now and then.

        Args:
            is_new: The reader will submit the job itself. Redis has the subscription long before a
                worker has the message, so its word for it is not waited for.
        """
        name = LIVE_PREFIX + job_id
        subscription = Subscription(only)
        channel = self._join(name, subscription)
        try:
            if self.is_connected and not is_new:
                channel.confirmed.wait(CONFIRM_SECONDS)
            yield subscription
        finally:
            self._leave(name, subscription)

    def readers(self) -> int:
        """How many subscriptions there are."""
        with self._lock:
            return sum(len(channel.readers) for channel in self._channels.values())

    def close(self) -> None:
        """End the connection and its thread."""
        with self._lock:
            self._closed.set()
            thread, connection = self._thread, self._connection
        if connection is not None:
            connection.disconnect()
        if thread is not None:
            thread.join(timeout=PING_SECONDS)

    def _join(self, name: str, subscription: Subscription) -> _Channel:
        with self._lock:
            if self._thread is None:
                self._start()
            channel = self._channels.get(name)
            if channel is None:
                channel = self._channels[name] = _Channel()
                self._send("SUBSCRIBE", name)
            channel.readers = (*channel.readers, subscription)
            return channel

    def _leave(self, name: str, subscription: Subscription) -> None:
        with self._lock:
            channel = self._channels[name]
            channel.readers = tuple(reader for reader in channel.readers if reader is not subscription)
            if not channel.readers:
                del self._channels[name]
                self._send("UNSUBSCRIBE", name)

    def _start(self) -> None:
        # The first reader connects here rather than in the thread, so that it needs not poll at first.
        try:
            self._open()
        except (redis.RedisError, OSError) as error:
            log.warning("live events: Redis is away (%s)", type(error).__name__)
        self._thread = threading.Thread(target=self._run, name="live-events", daemon=True)
        self._thread.start()

    def _send(self, command: str, name: str) -> None:
        """Under the lock. A connection that breaks here is seen, and replaced, by its reader."""
        connection = self._connection
        if connection is None:
            return
        if command == "SUBSCRIBE":
            self._unconfirmed[name] += 1
        try:
            connection.send_command(command, name, check_health=False)
        except (redis.RedisError, OSError):
            # Sending on it again would connect it again, without its subscriptions.
            self._connection = None

    def _open(self) -> None:
        connection = self._connect()
        connection.connect()
        with self._lock:
            self._unconfirmed.clear()
            self._connection = connection
            for channel in self._channels.values():
                channel.confirmed.clear()
            for name in (_ALIVE_CHANNEL, *self._channels):
                self._send("SUBSCRIBE", name)

    def _run(self) -> None:
        failures = 0
        while not self._closed.is_set():
            try:
                if self._connection is None:
                    self._open()
                    self._tell_missed()
                failures = 0
                self._read(self._connection)
            except Exception as error:
                # Whatever it is, it must not end the only reader. A connection that another
                # thread gave up while this one reads it raises more than redis's own errors.
                self._lost(error, failures)
                self._closed.wait(RECONNECT_SECONDS[min(failures, len(RECONNECT_SECONDS) - 1)])
                failures += 1
        if self._connection is not None:
            self._connection.disconnect()

    def _read(self, connection: Any) -> None:
        """Deliver until the connection breaks; a silent one is asked for a sign of life."""
        asked = False
        while not self._closed.is_set() and self._connection is connection:
            try:
                reply = connection.read_response(timeout=PING_SECONDS, disconnect_on_error=False)
            except redis.TimeoutError:
                if asked:
                    raise
                asked = True
                with self._lock:
                    if self._connection is connection:
                        connection.send_command("PING", check_health=False)
                continue
            asked = False
            self._deliver(reply)

    def _deliver(self, reply: list[Any]) -> None:
        kind, name = reply[0], reply[1]
        if kind == "message":
            channel = self._channels.get(name)
            if channel is not None:
                event = LiveEvent(*reply[2].split(" ", 2))
                for reader in channel.readers:
                    reader.offer(event)
        elif kind == "subscribe":
            with self._lock:
                self._unconfirmed[name] -= 1
                channel = self._channels.get(name)
                if channel is not None and self._unconfirmed[name] <= 0:
                    channel.confirmed.set()
                    del self._unconfirmed[name]

    def _lost(self, error: Exception, failures: int) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.disconnect()
            self._connection = None
        if self._closed.is_set():
            return
        if failures == 0:
            log.warning("live events: Redis is away (%s)", type(error).__name__)
            self._tell_missed()

    def _tell_missed(self) -> None:
        with self._lock:
            for channel in self._channels.values():
                for reader in channel.readers:
                    reader.miss()


def init_live(app: Flask, settings: Settings) -> None:
    """Nothing connects before the first reader: processes may be forked after this."""
    pool = redis.ConnectionPool.from_url(
        settings.redis_url,
        decode_responses=True,
        protocol=2,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=PING_SECONDS,
        socket_connect_timeout=CONNECT_SECONDS,
    )
    app.extensions[_EXTENSION] = LiveEvents(pool.make_connection)


def live_events() -> LiveEvents:
    """The app's connection."""
    found: LiveEvents = current_app.extensions[_EXTENSION]
    return found
