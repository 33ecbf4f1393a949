"""The transport on a line that plays bytes: what is sent again, what is kept, what is closed."""

import errno
import json
import socket
import threading

import pytest

from ollama_client import connection
from ollama_client.call import Call
from ollama_client.cancellation import Cancellation
from ollama_client.errors import (
    Aborted,
    ConnectionCut,
    FirstTokenTimeout,
    GenerationAborted,
    ModelNotFound,
    OllamaUnavailable,
)
from ollama_client.limits import Limits, Timer
from ollama_client.transport import OllamaTransport
from tests.replay import LAST_CHUNK, chunk, close, hang, recording, replaying, script_of, send, tell

BODY = {"model": "m", "prompt": "p"}
NDJSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
TOKEN = b'{"response":"a","done":false}\n'
DONE = b'{"response":"","done":true}\n'
STREAM = [send(NDJSON + chunk(TOKEN) + chunk(DONE) + LAST_CHUNK)]
UNFRAMED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
VERSION = script_of(recording("version")["response"])


def generate(transport, **options):
    """The text of a streamed generation."""
    with transport.stream("/api/generate", BODY, **options) as stream:
        return "".join(piece["response"] for piece in stream)


def test_a_kept_connection_that_died_is_replaced_silently():
    """Once: nothing of an answer had come."""
    with replaying(STREAM, [close], STREAM) as server, OllamaTransport(server.url) as transport:
        assert [generate(transport), generate(transport)] == ["a", "a"]
        assert (server.connections, len(server.requests)) == (2, 3)
        assert server.requests[1] == server.requests[2]


def test_a_fresh_connection_that_is_cut_is_an_outage():
    """Nothing is sent again."""
    with replaying([close]) as server, OllamaTransport(server.url) as transport:
        with pytest.raises(ConnectionCut):
            generate(transport)
        assert len(server.requests) == 1


def test_a_read_has_no_body_and_a_post_counts_its_own():
    """As HTTP wants it."""
    with replaying(VERSION, STREAM) as server, OllamaTransport(server.url) as transport:
        assert transport.version() == "0.24.0"
        generate(transport)
        asked, sent = server.requests
    assert b"content-length" not in asked.lower()
    head, _, body = sent.partition(b"\r\n\r\n")
    assert f"\r\nContent-Length: {len(body)}\r\n".encode() in head + b"\r\n"
    assert json.loads(body) == {**BODY, "stream": True}


def test_an_errors_body_is_read_and_its_connection_kept():
    """The next call goes over the same one."""
    unknown = script_of(recording("err_generate_unknown_model")["response"])
    with replaying(unknown, VERSION) as server, OllamaTransport(server.url) as transport:
        with pytest.raises(ModelNotFound, match="not found"):
            generate(transport)
        transport.version()
        assert server.connections == 1


def test_an_answer_without_length_is_complete_when_it_was_read_whole():
    """An old proxy ends a body by closing; one that sent nothing was cut."""
    scripts = [send(UNFRAMED + b'{"version":"1"}'), close], [send(UNFRAMED), close]
    with replaying(*scripts) as server, OllamaTransport(server.url) as transport:
        assert transport.version() == "1"
        with pytest.raises(ConnectionCut):
            transport.version()


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ([send(NDJSON + chunk(TOKEN)), close], ConnectionCut),
        ([send(NDJSON + chunk(TOKEN) + LAST_CHUNK)], GenerationAborted),
        ([send(NDJSON), hang], FirstTokenTimeout),
    ],
)
def test_a_stream_that_does_not_end_well_has_its_error(script, error):
    """Only `done: true` is a success."""
    limits = Limits(first_token_seconds=0.03)
    with replaying(script) as server, OllamaTransport(server.url) as transport, pytest.raises(error):
        generate(transport, limits=limits)


@pytest.mark.parametrize("way", ["cancellation", "transport"])
def test_a_call_is_aborted_from_another_thread(way):
    """By its cancellation, or with all others of its transport; the server sees it go."""
    cancellation = Cancellation()
    with replaying([tell, hang]) as server, OllamaTransport(server.url) as transport:

        def stop():
            server.reached.wait(5)
            (cancellation.cancel if way == "cancellation" else transport.abort)()

        thread = threading.Thread(target=stop)
        thread.start()
        with pytest.raises(Aborted):
            generate(transport, cancellation=cancellation)
        thread.join()
        assert server.gone.wait(5)


@pytest.mark.parametrize("url", ["gpu:11434", "ftp://gpu", "http://", "https:///api"])
def test_an_address_without_scheme_or_host_is_refused(url):
    """When the transport is made, not at the first call."""
    with pytest.raises(ValueError, match="base_url must be"):
        OllamaTransport(url)


def found(*addresses):
    """What a name's look-up finds."""
    return lambda *_: [(socket.AF_INET, socket.SOCK_STREAM, 0, "", address) for address in addresses]


def free_port():
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def test_each_address_of_a_host_is_tried(monkeypatch):
    """The first that answers serves the call."""
    with replaying(VERSION) as server:
        addresses = [("127.0.0.1", free_port()), ("127.0.0.1", server.port)]
        monkeypatch.setattr(connection.socket, "getaddrinfo", found(*addresses))
        with OllamaTransport("http://two-addresses:1") as transport:
            assert transport.version() == "0.24.0"


@pytest.mark.parametrize(
    ("addresses", "reason"), [([("127.0.0.1", 1)], "Connection refused"), ([], "no address")]
)
def test_where_none_answers_the_last_reason_is_told(monkeypatch, addresses, reason):
    """A name may have no address at all."""
    monkeypatch.setattr(connection.socket, "getaddrinfo", found(*addresses))
    with OllamaTransport("http://nobody:1") as transport:
        with pytest.raises(OllamaUnavailable, match=reason) as caught:
            transport.version()
        assert caught.value.is_outage


def test_a_name_that_is_not_found_is_an_outage(monkeypatch):
    """In the resolver's words."""

    def fails(*_):
        raise socket.gaierror(-2, "Name not known")

    monkeypatch.setattr(connection.socket, "getaddrinfo", fails)
    with (
        OllamaTransport("http://nowhere:1") as transport,
        pytest.raises(OllamaUnavailable, match="unknown host: Name not known"),
    ):
        transport.version()


def test_a_name_that_can_not_be_one_is_an_unknown_host():
    """It fails before anybody is asked."""
    with (
        OllamaTransport(f"http://{'a' * 64}:1") as transport,
        pytest.raises(OllamaUnavailable, match=r"unknown host: .*label"),
    ):
        transport.version()


class Swallowed:
    """A socket whose packets nobody answers, or at once."""

    def __init__(self, code=errno.EINPROGRESS):
        self.code = code
        self.timeout = None
        self.options = []
        self.closed = False

    def setblocking(self, _):
        pass

    def connect_ex(self, _):
        return self.code

    def settimeout(self, seconds):
        self.timeout = seconds

    def setsockopt(self, *option):
        self.options.append(option)

    def close(self):
        self.closed = True


def test_connecting_waits_no_longer_than_its_share(monkeypatch):
    """Then the socket is closed."""
    monkeypatch.setattr(connection, "wait_for_write", lambda *_, **__: False)
    sock = Swallowed()
    with pytest.raises(TimeoutError):
        connection._connected(sock, ("10.0.0.1", 1), Call(Timer(Limits())), 0.0)
    assert sock.closed


def test_a_host_that_swallows_packets_is_not_reachable(monkeypatch):
    """The connect limit says how long was waited."""
    monkeypatch.setattr(connection, "wait_for_write", lambda *_, **__: False)
    limits = Limits(connect_seconds=0.001)
    with (
        OllamaTransport("http://127.0.0.1:1", limits=limits) as transport,
        pytest.raises(OllamaUnavailable, match=r"no connection in 0\.001 s"),
    ):
        transport.version()


def test_connecting_can_be_cancelled(monkeypatch):
    """It looks again and again whether it was."""
    call = Call(Timer(Limits()))
    looks = []

    def wait(*_, **__):
        looks.append(1)
        if len(looks) == 3:
            call.abort()
        return False

    monkeypatch.setattr(connection, "wait_for_write", wait)
    sock = Swallowed()
    with pytest.raises(Aborted):
        connection._connected(sock, ("10.0.0.1", 1), call, 60.0)
    assert (len(looks), sock.closed) == (3, True)


def test_a_connection_that_stands_at_once_is_not_waited_for():
    """Small pieces then go out without delay."""
    sock = Swallowed(code=0)
    assert connection._connected(sock, ("127.0.0.1", 1), Call(Timer(Limits())), 5.0) is sock
    assert sock.options == [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
    assert 0 < sock.timeout <= 5
