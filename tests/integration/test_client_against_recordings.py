"""The client reads what a real Ollama sent, byte for byte, and what a broken line makes of it."""

import json
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from contextlib import suppress

import pytest

from ollama_client import (
    Aborted,
    BadRequest,
    BetweenTokensTimeout,
    Cancellation,
    ConnectionCut,
    FirstTokenTimeout,
    GenerationAborted,
    InvalidResponse,
    Limits,
    ModelNotFound,
    OllamaBusy,
    OllamaClient,
    OllamaError,
    OllamaTransport,
    OllamaUnavailable,
    RetryPolicy,
    ServerError,
    StreamError,
    TotalTimeout,
)
from tests.replay import (
    LAST_CHUNK,
    ReplayServer,
    chunk,
    close,
    hang,
    head_of,
    recorded_names,
    recording,
    replaying,
    reset,
    script_of,
    send,
    tell,
)

pytestmark = pytest.mark.one_database
SOON = Limits(first_token_seconds=0.05, between_tokens_seconds=0.05)
PROMPT = "a prompt that nobody else may read"
BODY = {"model": "tiny-a", "prompt": PROMPT}


def expected_outcome(name, response):
    """The error class that a recording stands for, None for success."""
    if name.startswith("token_repeat"):
        return GenerationAborted
    if name.startswith("midstream_server"):
        return ConnectionCut
    if name.startswith("midstream_kill") and name.endswith("_stream"):
        return StreamError
    status = response["status"]
    if name == "err_unknown_path_post":
        return BadRequest
    by_status = {200: None, 404: ModelNotFound, 503: OllamaBusy}
    return by_status.get(status, BadRequest if status < 500 else ServerError)


def callable_recordings():
    """Recordings of requests that the client can make."""
    for name in recorded_names():
        request = recording(name)["request"]
        if request["path"].startswith("/api/") and request["method"] in {"GET", "POST"}:
            yield name


def play(transport, request):
    """Make the recorded request the way the client would; the chunks, the last one final."""
    body = request.get("body")
    body = body if isinstance(body, dict) else None
    streams = request["path"] in {"/api/generate", "/api/chat"} and request["method"] == "POST"
    if streams and (body or {}).get("stream") is not False:
        with transport.stream(request["path"], body or {}) as stream:
            chunks = list(stream)
        assert stream.final is chunks[-1]
        return chunks
    return [transport.request(request["method"], request["path"], body)]


@pytest.mark.parametrize("name", list(callable_recordings()))
def test_each_recording_has_its_outcome(name):
    """Every recorded answer is either a success with all its lines or the right error."""
    exchange = recording(name)
    response = exchange["response"]
    script = script_of(response, cut=name.startswith("midstream_server"))
    outcome = expected_outcome(name, response)
    with replaying(script) as server, OllamaTransport(server.url) as transport:
        if outcome is None:
            chunks = play(transport, exchange["request"])
            lines = response.get("lines") or [response["body_text"]]
            assert chunks == [json.loads(line) for line in lines]
        else:
            with pytest.raises(OllamaError) as caught:
                play(transport, exchange["request"])
            assert type(caught.value) is outcome
            if response["status"] != 200:
                assert caught.value.status == response["status"]
                if isinstance(response.get("body"), dict):
                    assert str(caught.value) == response["body"]["error"]
                    assert caught.value.body == response["body"]


def test_an_aborted_generation_keeps_its_text():
    """What came before Ollama gave up silently is in the error."""
    response = recording("token_repeat_stream")["response"]
    with (
        replaying(script_of(response)) as server,
        OllamaTransport(server.url) as transport,
        pytest.raises(GenerationAborted) as caught,
    ):
        list(transport.stream("/api/generate", BODY))
    assert caught.value.text == "".join(json.loads(line)["response"] for line in response["lines"])


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50])
def test_lines_may_be_split_anywhere(size):
    """Portions that end inside a line or a character make the same chunks."""
    words = ["Käse ", "🐎", "日本", "\u2028"]
    lines = [{"response": word, "done": False} for word in words] + [{"response": "", "done": True}]
    raw = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()
    pieces = [send(chunk(raw[at : at + size])) for at in range(0, len(raw), size)]
    with (
        replaying([send(stream_head()), *pieces, send(LAST_CHUNK)]) as server,
        OllamaTransport(server.url) as transport,
        transport.stream("/api/generate", BODY) as stream,
    ):
        assert list(stream) == lines
        assert stream.text == "".join(words)


def test_many_lines_in_one_portion():
    """Lines that arrive together are handed out one by one."""
    raw = token("a") + token("b") + token("c", done=True)
    with (
        replaying([send(stream_head() + chunk(raw) + LAST_CHUNK)]) as server,
        OllamaTransport(server.url) as transport,
        transport.stream("/api/generate", BODY) as stream,
    ):
        assert [piece["response"] for piece in stream] == ["a", "b", "c"]


def stream_head():
    """The head of a streamed answer."""
    return head_of(recording("generate_stream_true")["response"])


def token(text, done=False):
    """One line of a stream."""
    return json.dumps({"response": text, "done": done}).encode() + b"\n"


def cut_head():
    """A head that ends among the headers."""
    return stream_head()[:-20]


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        ([close], ConnectionCut),
        ([reset], ConnectionCut),
        ([send(b"HTTP/1.1 2"), close], ConnectionCut),
        ([send(cut_head()), close], ConnectionCut),
        ([send(stream_head()), close], ConnectionCut),
        ([send(stream_head() + chunk(token("a"))), close], ConnectionCut),
        ([send(stream_head() + chunk(token("a"))), reset], ConnectionCut),
        ([send(stream_head() + chunk(token("abc"))[:-9]), close], ConnectionCut),
        ([send(stream_head() + chunk(b"<html>\n") + LAST_CHUNK)], InvalidResponse),
        ([send(stream_head() + chunk(b"\xff\xfe\n") + LAST_CHUNK)], InvalidResponse),
        ([send(stream_head() + chunk(b"[1]\n") + LAST_CHUNK)], InvalidResponse),
        ([send(b"SSH-2.0-OpenSSH_9\r\n\r\n"), close], InvalidResponse),
        ([send(stream_head() + LAST_CHUNK)], GenerationAborted),
        ([hang], FirstTokenTimeout),
        ([send(stream_head()), hang], FirstTokenTimeout),
        ([send(stream_head() + chunk(token("a"))), hang], BetweenTokensTimeout),
        ([send(stream_head() + chunk(token("a") + b'{"resp')), hang], BetweenTokensTimeout),
        ([send(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 6\r\n\r\n<html>")], OllamaUnavailable),
        ([send(b"HTTP/1.1 307 x\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n")], InvalidResponse),
    ],
)
def test_a_broken_answer_has_its_name(script, outcome):
    """However the line breaks or stalls, the error says in which way, and never quotes the prompt."""
    with (
        replaying(script) as server,
        OllamaTransport(server.url, limits=SOON) as transport,
        pytest.raises(OllamaError) as caught,
    ):
        list(transport.stream("/api/generate", BODY))
    assert type(caught.value) is outcome
    assert PROMPT not in str(caught.value)


@pytest.mark.parametrize("cut_at", [0, 30, 200])
def test_a_cut_plain_answer_is_a_cut(cut_at):
    """An answer that is shorter than it promised is no success and no invalid answer."""
    response = recording("generate_warm_nonstream")["response"]
    raw = head_of(response) + response["body_text"].encode()[:cut_at]
    with (
        replaying([send(raw), close]) as server,
        OllamaTransport(server.url) as transport,
        pytest.raises(ConnectionCut),
    ):
        transport.request("POST", "/api/generate", BODY)


def drip(connection):
    """Send a token again and again for as long as the client listens."""
    with suppress(OSError):
        while not connection.server.gone.wait(0.002):
            connection.sock.sendall(chunk(token("a")))


def test_the_total_limit_ends_a_lively_stream():
    """Tokens that keep coming don't extend the limit for the whole."""
    limits = Limits(total_seconds=0.1)
    with replaying([send(stream_head()), drip, close]) as server, OllamaTransport(server.url) as transport:
        started = time.monotonic()
        with pytest.raises(TotalTimeout):
            list(transport.stream("/api/generate", BODY, limits=limits))
        assert time.monotonic() - started < 1


def test_a_refused_connection_is_an_outage():
    """Nobody listening is Ollama being away."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with OllamaTransport(f"http://127.0.0.1:{port}") as transport, pytest.raises(OllamaUnavailable) as caught:
        transport.version()
    assert caught.value.is_outage
    assert "Connection refused" in str(caught.value)


def test_an_unknown_host_is_an_outage():
    """A name that does not resolve is Ollama being away."""
    with OllamaTransport("http://no-such-host.invalid:1") as transport, pytest.raises(OllamaUnavailable):
        transport.version()


def full_listener():
    """A server that accepts nothing: further connections stay half open."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=0)
    fillers = []
    for _ in range(4):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(listener.getsockname())
        fillers.append(filler)
    return listener, fillers


@pytest.mark.parametrize("cancelled", [False, True])
def test_connecting_is_bounded_and_cancellable(cancelled):
    """A host that swallows packets costs the connect limit, or less once cancelled."""
    listener, fillers = full_listener()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    cancellation = Cancellation()
    limits = Limits(connect_seconds=5 if cancelled else 0.1)
    timer = threading.Timer(0.05, cancellation.cancel)
    started = time.monotonic()
    try:
        with OllamaTransport(url, limits=limits) as transport:
            if cancelled:
                timer.start()
            with pytest.raises(Aborted if cancelled else OllamaUnavailable):
                transport.stream("/api/generate", BODY, cancellation=cancellation)
    finally:
        timer.cancel()
        for sock in (listener, *fillers):
            sock.close()
    assert time.monotonic() - started < 1


PHASES = {
    "waiting for headers": [tell, hang],
    "waiting for the first token": [send(stream_head()), tell, hang],
    "mid-stream": [send(stream_head() + chunk(token("a"))), tell, hang],
    "inside a line": [send(stream_head() + chunk(b'{"res')), tell, hang],
}


@pytest.mark.parametrize("way", ["cancellation", "transport"])
@pytest.mark.parametrize("phase", list(PHASES))
def test_another_thread_stops_a_call(phase, way):
    """Cancelling raises Aborted at once, and the server sees the connection go."""
    cancellation = Cancellation()
    cancelled_at = []

    with replaying(PHASES[phase]) as server, OllamaTransport(server.url) as transport:

        def stop():
            server.reached.wait(5)
            cancelled_at.append(time.monotonic())
            (cancellation.cancel if way == "cancellation" else transport.abort)()

        thread = threading.Thread(target=stop)
        thread.start()
        with pytest.raises(Aborted):
            list(transport.stream("/api/generate", BODY, cancellation=cancellation))
        assert time.monotonic() - cancelled_at[0] < 0.5
        assert server.gone.wait(5)
        thread.join()


def test_a_signal_handler_stops_the_call_of_its_own_thread():
    """cancel() from a handler that interrupts the blocking read ends that read."""
    cancellation = Cancellation()
    previous = signal.signal(signal.SIGUSR1, lambda *_: cancellation.cancel())
    try:
        with replaying(PHASES["waiting for headers"]) as server, OllamaTransport(server.url) as transport:

            def stop():
                server.reached.wait(5)
                signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)

            thread = threading.Thread(target=stop)
            thread.start()
            with pytest.raises(Aborted):
                transport.stream("/api/generate", BODY, cancellation=cancellation)
            thread.join()
            assert server.gone.wait(5)
    finally:
        signal.signal(signal.SIGUSR1, previous)


def test_a_call_that_was_cancelled_before_it_began_sends_nothing():
    """The server never hears of it."""
    cancellation = Cancellation()
    cancellation.cancel()
    with replaying([hang]) as server, OllamaTransport(server.url) as transport:
        with pytest.raises(Aborted):
            transport.stream("/api/generate", BODY, cancellation=cancellation)
        assert server.requests == []


def good():
    """A complete short stream."""
    return script_of(recording("generate_stream_true")["response"])


def test_cancelling_after_the_end_leaves_the_connection_alone():
    """A late cancel() and an idle abort() touch neither the kept connection nor the next call."""
    cancellation = Cancellation()
    with replaying(good()) as server, OllamaTransport(server.url) as transport:
        list(transport.stream("/api/generate", BODY, cancellation=cancellation))
        cancellation.cancel()
        transport.abort()
        list(transport.stream("/api/generate", BODY))
        assert server.connections == 1


def test_leaving_a_stream_early_closes_its_connection():
    """Giving a generation up makes Ollama stop."""
    with replaying(PHASES["mid-stream"]) as server, OllamaTransport(server.url) as transport:
        with transport.stream("/api/generate", BODY) as stream:
            assert next(stream)["response"] == "a"
        assert server.gone.wait(5)


def test_a_connection_is_kept_for_the_next_call():
    """Complete answers, and complete errors, leave the connection open."""
    unknown = script_of(recording("err_generate_unknown_model")["response"])
    with replaying(good(), unknown, good()) as server, OllamaTransport(server.url) as transport:
        list(transport.stream("/api/generate", BODY))
        with pytest.raises(ModelNotFound):
            transport.stream("/api/generate", BODY)
        list(transport.stream("/api/generate", BODY))
        assert server.connections == 1


@pytest.mark.parametrize("ending", [close, reset])
def test_a_stale_connection_is_no_outage(ending):
    """A kept connection that dies as the next request arrives is replaced silently."""
    with replaying(good(), [ending], good()) as server, OllamaTransport(server.url) as transport:
        list(transport.stream("/api/generate", BODY))
        list(transport.stream("/api/generate", BODY))
        assert (server.connections, len(server.requests)) == (2, 3)


def test_a_stale_connection_is_replaced_once():
    """Should the fresh one die too, that is an outage."""
    with replaying(good(), [close]) as server, OllamaTransport(server.url) as transport:
        list(transport.stream("/api/generate", BODY))
        with pytest.raises(ConnectionCut):
            transport.stream("/api/generate", BODY)
        assert len(server.requests) == 3


def test_a_cut_after_headers_is_not_repeated():
    """Once part of an answer came, a reused connection that breaks is a cut."""
    with replaying(good(), [send(stream_head()), close]) as server, OllamaTransport(server.url) as transport:
        list(transport.stream("/api/generate", BODY))
        with pytest.raises(ConnectionCut):
            list(transport.stream("/api/generate", BODY))
        assert len(server.requests) == 2


def test_closing_lets_go_of_the_kept_connection() -> None:
    """A later call makes a new one."""
    with replaying(good()) as server, OllamaTransport(server.url) as transport:
        list(transport.stream("/api/generate", BODY))
        transport.close()
        list(transport.stream("/api/generate", BODY))
        assert server.connections == 2


def test_a_given_header_takes_the_place_of_ours() -> None:
    """However it is spelled; and is sent as it is spelled."""
    headers = {"user-AGENT": "mine", "content-type": "text/plain"}
    with replaying(good()) as server, OllamaTransport(server.url) as transport:
        list(transport.stream("/api/generate", {"model": "m", "prompt": "hi"}, headers=headers))
        lines = server.requests[0].partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert [line for line in lines if line.lower().startswith(b"user-agent")] == [b"user-AGENT: mine"]
    assert [line for line in lines if line.lower().startswith(b"content-type")] == [
        b"Content-Type: application/json"
    ]


def test_the_body_goes_out_as_it_is_with_streaming_forced(monkeypatch):
    """Proxies of the environment are ignored, a path prefix is kept, the body is not touched."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    body = {"model": "m", "prompt": "🐎 \ud800", "stream": False, "unknown": [1]}
    headers = {"X-Request-ID": "r1"}
    with replaying(good()) as server, OllamaTransport(f"{server.url}/prefix/") as transport:
        list(transport.stream("/api/generate", body, headers=headers))
        head, _, sent = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /prefix/api/generate HTTP/1.1\r\n")
    assert b"\r\nX-Request-ID: r1\r\n" in head
    assert json.loads(sent) == {**body, "stream": True}


def test_the_client_answers_from_recordings():
    """The high-level client chooses the loaded model, and counts the tokens that Ollama reports."""
    scripts = [script_of(recording(name)["response"]) for name in ("tags", "ps_loaded", "show")]
    with replaying(*scripts, good()) as server:
        client = OllamaClient("127.0.0.1", server.port)
        result = client.generate("hello")
        client.shutdown()
    assert (result["success"], result["model"], result["tokens"]) == (True, "tiny-a:latest", 8)


def test_concurrent_calls_share_a_transport():
    """Calls of several threads on one transport don't disturb each other, cancelled or not."""
    with replaying(good()) as server:
        policy = RetryPolicy(1)
        client = OllamaClient("127.0.0.1", server.port, model="tiny-a", retry=policy)
        results = client.generate_batch(["hello"] * 40)
        client.shutdown()
    assert all(result["success"] for result in results)


def test_typed_calls_read_the_recordings():
    """Each convenience sends its body and takes the useful part of the answer."""
    names = ["chat_stream", "embed_array", "show_tools", "tags", "ps_loaded", "version"]
    scripts = [script_of(recording(name)["response"]) for name in names]
    with replaying(*scripts) as server, OllamaTransport(server.url) as transport:
        chunks = list(transport.chat("tiny-a", [{"role": "user", "content": "hi"}], options={"seed": 1}))
        assert chunks[-1]["done_reason"] == "length"
        assert len(transport.embed("tiny-a", ["a", "b"], truncate=True)["embeddings"]) == 2
        assert "tools" in transport.show("tiny-tools")["capabilities"]
        assert {"tiny-a:latest", "tiny-b:latest"} <= {model["name"] for model in transport.tags()}
        assert [model["name"] for model in transport.ps()] == ["tiny-a:latest"]
        assert transport.version() == "0.24.0"
        bodies = [request.partition(b"\r\n\r\n")[2] for request in server.requests[:3]]
    assert json.loads(bodies[0])["options"] == {"seed": 1}
    assert json.loads(bodies[1]) == {"model": "tiny-a", "input": ["a", "b"], "truncate": True}
    assert json.loads(bodies[2]) == {"model": "tiny-tools"}


class TLSReplayServer(ReplayServer):
    """The same behind TLS."""

    def __init__(self, certificate, *scripts):
        super().__init__(*scripts)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate)

    @property
    def url(self):
        return f"https://localhost:{self.port}"

    def _serve(self, sock):
        with suppress(OSError), self.context.wrap_socket(sock, server_side=True) as wrapped:
            super()._serve(wrapped)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A self-signed certificate for localhost, with its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed: it makes the certificate")
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost"
    files = ["-addext", "subjectAltName=DNS:localhost", "-keyout", path, "-out", f"{path}.crt"]
    subprocess.run([*command.split(), *files], check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + path.with_name("localhost.pem.crt").read_bytes())
    return path


def test_tls_streams_and_can_be_cancelled(certificate):
    """Over https everything works as over http, the kept connection and cancelling included."""
    cancellation = Cancellation()
    with (
        TLSReplayServer(certificate, good(), PHASES["mid-stream"]) as server,
        OllamaTransport(server.url, verify=str(certificate)) as transport,
    ):
        list(transport.stream("/api/generate", BODY))
        stream = transport.stream("/api/generate", BODY, cancellation=cancellation)
        next(stream)
        thread = threading.Thread(target=lambda: server.reached.wait(5) and cancellation.cancel())
        thread.start()
        with pytest.raises(Aborted):
            next(stream)
        thread.join()
        assert server.gone.wait(5)
        assert server.connections == 1


def test_a_certificate_that_is_not_trusted_is_named(certificate):
    """It counts as unreachable, and the reason is in the message."""
    with (
        TLSReplayServer(certificate, good()) as server,
        OllamaTransport(server.url) as transport,
        pytest.raises(OllamaUnavailable, match="certificate"),
    ):
        transport.stream("/api/generate", BODY)
