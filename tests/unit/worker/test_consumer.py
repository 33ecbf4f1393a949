"""Celery's consumer, back sooner after a loss of the broker."""

import os
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from celery.concurrency.asynpool import AsynPool
from celery.worker.consumer import Consumer as CeleryConsumer
from kombu.asynchronous import Hub
from kombu.transport.redis import Channel

from tasks import app
from worker.consumer import Consumer, refuse_closed_channels, watch_children_anew


class Connection:
    """Stands in for kombu's; notes how it is asked to connect."""

    def __init__(self) -> None:
        self.asked: dict[str, Any] = {}

    def ensure_connection(self, *_: Any, **options: Any) -> "Connection":
        self.asked = options
        return self


@pytest.fixture
def consumer() -> Consumer:
    """One that is connected to nothing."""
    found = Consumer.__new__(Consumer)
    found.app = app
    found.first_connection_attempt = False
    found.broker_connection_retry_attempt = 0
    return found


def test_it_tries_to_connect_at_least_once_a_second(consumer: Consumer) -> None:
    """kombu's own steps go up to half a minute."""
    connection = Connection()
    assert consumer.ensure_connected(connection) is connection
    waits = {name: connection.asked[name] for name in ("interval_start", "interval_step", "interval_max")}
    assert waits == {"interval_start": 0.2, "interval_step": 0.2, "interval_max": 1.0}


def test_a_close_that_fails_inside_kombu_ends_nothing(
    consumer: Consumer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its channel may have lost its address while it gives messages back; the parent would die of that."""

    def close(*_: Any) -> None:
        raise AttributeError("'NoneType' object has no attribute 'hostname'")

    monkeypatch.setattr(CeleryConsumer, "on_connection_error_after_connected", close)
    consumer.on_connection_error_after_connected(ConnectionError())
    assert "not closed cleanly" in caplog.text


def test_a_closed_channel_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a connection error, which kombu logs where it acknowledges, and not as an AttributeError."""
    monkeypatch.setattr(Channel, "_connparams", lambda *_: {"host": "here"})
    refuse_closed_channels()
    channel = Channel.__new__(Channel)
    channel.connection = SimpleNamespace(client=None)
    with pytest.raises(redis.ConnectionError, match="closed"):
        channel._connparams()
    channel.connection = SimpleNamespace(client=object())
    assert channel._connparams() == {"host": "here"}


def test_a_child_that_lives_is_watched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though the pool took another one's end for its; one that has ended is left to the pool."""
    monkeypatch.setattr(AsynPool, "_track_child_process", AsynPool._track_child_process)
    watch_children_anew()
    pool, hub = AsynPool.__new__(AsynPool), Hub()
    ours, theirs = os.pipe()
    lives = SimpleNamespace(_sentinel_poll=None, _popen=SimpleNamespace(sentinel=ours))
    ended = SimpleNamespace(_sentinel_poll=None, _popen=SimpleNamespace(sentinel=None))
    try:
        for process in (lives, ended):
            pool._track_child_process(process, hub)
        assert list(hub.readers) == [lives._sentinel_poll]
        assert ended._sentinel_poll is None
        pool._untrack_child_process(lives, hub)
        assert not hub.readers
    finally:
        hub.close()
        os.close(ours)
        os.close(theirs)


def test_a_worker_has_this_consumer() -> None:
    """By Celery's own setting."""
    import worker

    assert worker.app.conf.worker_consumer == "worker.consumer:Consumer"
