"""What only a real server shows: bodies of any length, connections, streams, and many clients at once."""

import http.client
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from jobs.events import DONE, STATUS, TOKEN
from jobs.records import Outcome
from tests.environment import new_database
from tests.integration.system import eventually
from tests.integration.web import LIMIT_BYTES, SUBMIT, WebServer
from tests.support.valkey import Valkey

KEEP_WRITERS_OUT = {
    "sqlite": ["BEGIN IMMEDIATE"],
    "postgresql": ["LOCK TABLE jobs IN EXCLUSIVE MODE"],  # psycopg has begun
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    valkey = Valkey()
    valkey.start()
    folder = tmp_path_factory.mktemp("server")
    made = WebServer(folder, new_database(folder), valkey.url)
    yield made
    made.close()
    valkey.close()


@pytest.fixture(autouse=True)
def connections(server: WebServer) -> Iterator[None]:
    """Every test closes what it opened."""
    yield
    server.hang_up()


def event_of(stream: http.client.HTTPResponse) -> str:
    """The next event's name."""
    while line := stream.readline().decode():
        if line.startswith("event: "):
            return line.removeprefix("event: ").strip()
    return "end"


def test_a_body_of_unknown_length_is_limited(server: WebServer) -> None:
    """A chunked body over the limit gets 413, although nobody said how long it is."""
    chunks = (b'{"prompt": "', *(b"x" * 10_000 for _ in range(40)), b'"}')
    status, problem = server.send(server.connect(), "POST", SUBMIT, iter(chunks), encode_chunked=True)
    assert (status, problem["code"]) == (413, "body_too_large")


def test_a_chunked_body_within_the_limit_is_taken(server: WebServer) -> None:
    """A chunked body is read to its end."""
    chunks = (b'{"prompt": "', b"Why", b'?", "model": "alpha"}')
    status, job = server.send(server.connect(), "POST", SUBMIT, iter(chunks), encode_chunked=True)
    assert (status, job["status"]) == (202, "pending")


def test_a_connection_outlives_a_refused_body(server: WebServer) -> None:
    """After 413 the next request on the connection is answered as usual, or it was closed in order."""
    connection = server.connect()
    assert server.send(connection, "POST", SUBMIT, b"x" * (LIMIT_BYTES + 1))[0] == 413
    assert server.send(connection, "GET", "/api/llm/jobs/?limit=1")[0] == 200


def test_tokens_are_sent_as_they_come(server: WebServer) -> None:
    """Each token reaches the reader within a moment of being written, not when the job ends."""
    job_id = server.submit()
    stream = server.open_stream(job_id)
    assert event_of(stream) == STATUS
    claimed = server.service.claim(job_id, publication=1, worker="w1")
    assert claimed is not None
    eventually(server.subscribed)
    for text in ("a", "b", "c"):
        server.events.add(job_id, TOKEN, {"text": text})
        began = time.monotonic()
        assert event_of(stream) == TOKEN
        assert time.monotonic() - began < 0.5
    server.service.finish(job_id, claimed.claim, Outcome({}, "abc", 1.0))
    server.events.add(job_id, DONE, {})
    assert event_of(stream) == DONE
    assert event_of(stream) == "end"


def test_a_reader_that_hangs_up_is_forgotten(server: WebServer) -> None:
    """When a reader's connection is gone, the process stops listening for it."""
    job_id = server.submit()
    stream = server.open_stream(job_id)
    assert event_of(stream) == STATUS
    eventually(server.subscribed)
    server.hang_up()

    def forgotten() -> bool:
        server.events.add(job_id, TOKEN, {"text": "anyone?"})
        return server.subscribed() == 0

    eventually(forgotten)


def test_waiting_clients_do_not_hold_up_others(server: WebServer) -> None:
    """While many wait for a job, the process answers others at once."""
    job_id = server.submit()
    waiting = [server.connect() for _ in range(50)]
    for connection in waiting:
        headers = {"Authorization": f"Bearer {server.key}"}
        connection.request("GET", f"/api/llm/jobs/{job_id}/status/?wait=30", headers=headers)
    eventually(server.subscribed)
    assert server.send(server.connect(), "GET", "/healthz") == (200, {"status": "ok"})
    server.send(server.connect(), "POST", f"/api/llm/jobs/{job_id}/cancel/")
    for connection in waiting:
        assert json.loads(connection.getresponse().read())["status"] == "cancelled"


def test_a_writer_elsewhere_holds_up_nobody_here(server: WebServer) -> None:
    """While another process keeps writers out, reads and other requests are answered at once."""
    submitting = server.connect()
    body = json.dumps({"prompt": "Why?", "model": "alpha"})
    headers = {"Authorization": f"Bearer {server.key}", "Content-Type": "application/json"}
    with server.database.engine.connect() as writer:
        raw: Any = writer.connection.dbapi_connection
        for statement in KEEP_WRITERS_OUT[writer.dialect.name]:
            raw.execute(statement)
        submitting.request("POST", SUBMIT, body, headers)
        time.sleep(0.2)
        began = time.monotonic()
        assert server.send(server.connect(), "GET", "/api/llm/jobs/?limit=1")[0] == 200
        assert time.monotonic() - began < 1
        raw.execute("ROLLBACK")
    assert submitting.getresponse().status == 202


def test_nothing_of_a_prompt_is_logged(server: WebServer) -> None:
    """The server's log holds neither prompts nor keys."""
    log = server.log.read_text()
    assert "Why?" not in log
    assert server.key not in log
    assert "Traceback" not in log
