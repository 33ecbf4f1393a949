"""Cancelling a call at any moment of its life."""

import socket
import threading

import pytest

from ollama_client.call import Call
from ollama_client.cancellation import Cancellation
from ollama_client.errors import Aborted
from ollama_client.limits import Limits, Timer


class Line:
    """A connection as a call sees it."""

    def __init__(self):
        self.guard = threading.RLock()
        self.owner = None


@pytest.fixture
def sockets():
    pair = socket.socketpair()
    pair[0].settimeout(5)
    yield pair
    for sock in pair:
        sock.close()


def call(cancellation=None):
    return Call(Timer(Limits()), cancellation)


def test_a_running_call_has_its_socket_shut_down(sockets):
    """Whoever reads from it is woken."""
    cancellation = Cancellation()
    running = call(cancellation)
    running.take(Line(), sockets[0])
    cancellation.cancel()
    assert sockets[0].recv(1) == b""
    with pytest.raises(Aborted):
        running.check()


def test_a_call_that_begins_after_cancelling_never_takes_a_connection(sockets):
    """It is aborted from the start."""
    cancellation = Cancellation()
    cancellation.cancel()
    with pytest.raises(Aborted):
        call(cancellation).take(Line(), sockets[0])


def test_a_finished_call_does_not_touch_its_connection(sockets):
    """The connection may serve another call by now."""
    cancellation = Cancellation()
    finished = call(cancellation)
    finished.take(Line(), sockets[0])
    finished.finish()
    cancellation.cancel()
    sockets[1].sendall(b"x")
    assert sockets[0].recv(1) == b"x"


def test_a_connection_that_changed_hands_is_left_alone(sockets):
    """A call that has not noticed its end yet can't stop its successor."""
    line, first, second = Line(), call(), call()
    first.take(line, sockets[0])
    second.take(line, sockets[0])
    first.abort()
    sockets[1].sendall(b"x")
    assert sockets[0].recv(1) == b"x"
    second.check()


def test_one_cancellation_stops_several_calls():
    """Those that take part; not those that are over."""
    cancellation = Cancellation()
    calls = [call(cancellation) for _ in range(3)]
    calls[0].finish()
    cancellation.cancel()
    assert [one.aborted for one in calls] == [False, True, True]
    assert cancellation.cancelled


def test_a_call_that_lost_its_connection_leaves_it_to_the_next(sockets):
    """Its end does not take the connection from its successor."""
    line, first, second = Line(), call(), call()
    first.take(line, sockets[0])
    second.take(line, sockets[0])
    first.restart()
    assert line.owner is second
    assert (first.connected, first.must_connect) == (False, True)


def test_the_socket_waits_as_long_as_the_limits_allow(sockets):
    """Or shorter, where that is asked for; a call without a socket has none to wait on."""
    running = call()
    running.set_socket_timeout()
    running.limit_socket(0.5)
    assert sockets[0].gettimeout() == 5
    running.take(Line(), sockets[0])
    running.timer.sending()
    running.set_socket_timeout()
    assert 290 < sockets[0].gettimeout() <= 300
    running.limit_socket(0.5)
    assert sockets[0].gettimeout() == 0.5
