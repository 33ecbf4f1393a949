"""The API as it is served: gunicorn with gevent, over real sockets."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs.database import Database
from jobs.events import DONE, STATUS, TOKEN, EventWriter
from jobs.records import Outcome
from jobs.service import JobService
from settings import ROOT, get_settings
from tasks.resources import connect_redis
from tests.integration.system import eventually
from tests.support.valkey import Valkey

SUBMIT = "/api/llm/jobs/submit/"
LIMIT_BYTES = 100_000


class Server:
    """gunicorn on a free port, and what a worker would need."""

    def __init__(self, folder: Path, valkey: Valkey) -> None:
        self._opened: list[Any] = []
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        url = f"sqlite:///{folder / 'paddock.db'}"
        self.environment = {
            **os.environ,
            "DATABASE_URL": url,
            "REDIS_URL": valkey.url,
            "PORT": str(self.port),
            "PADDOCK_MAX_BODY_BYTES": str(LIMIT_BYTES),
        }
        self._flask("db", "upgrade")
        self.key = self._flask("keys", "create", "--name", "t", "--quiet").strip()
        self.database = Database.connect(url)
        self.service = JobService(self.database)
        settings = get_settings().model_copy(update={"redis_url": valkey.url})
        self.redis = connect_redis(settings)
        self.events = EventWriter(self.redis)
        self.log = folder / "web.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gunicorn", "-c", "python:stack.web", "api:create_app()"],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        eventually(self._answers, within=30)

    def _flask(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "flask", "--app", "api", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=self.environment, check=True, capture_output=True, text=True
        ).stdout

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True
        except OSError:
            return False

    def connect(self) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        self._opened.append(connection)
        return connection

    def hang_up(self) -> None:
        """Close every connection that a test has opened."""
        while self._opened:
            self._opened.pop().close()

    def send(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: Any = None, **options: Any
    ) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        connection.request(method, path, body, headers, **options)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())

    def submit(self) -> str:
        body = json.dumps({"prompt": "Why?", "model": "alpha"})
        return str(self.send(self.connect(), "POST", SUBMIT, body)[1]["job_id"])

    def open_stream(self, job_id: str) -> http.client.HTTPResponse:
        connection = self.connect()
        headers = {"Authorization": f"Bearer {self.key}"}
        connection.request("GET", f"/api/llm/jobs/{job_id}/events/", headers=headers)
        stream = connection.getresponse()
        self._opened.append(stream)
        return stream

    def subscribed(self) -> int:
        """How many channels of jobs somebody reads."""
        return len(self.redis.pubsub_channels("paddock:live:*"))

    def close(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)
        self.redis.close()
        self.database.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    valkey = Valkey()
    valkey.start()
    made = Server(tmp_path_factory.mktemp("server"), valkey)
    yield made
    made.close()
    valkey.close()


@pytest.fixture(autouse=True)
def connections(server: Server) -> Iterator[None]:
    """Every test closes what it opened."""
    yield
    server.hang_up()


def event_of(stream: http.client.HTTPResponse) -> str:
    """The next event's name."""
    while line := stream.readline().decode():
        if line.startswith("event: "):
            return line.removeprefix("event: ").strip()
    return "end"


def test_a_body_of_unknown_length_is_limited(server: Server) -> None:
    """A chunked body over the limit gets 413, although nobody said how long it is."""
    chunks = (b'{"prompt": "', *(b"x" * 10_000 for _ in range(40)), b'"}')
    status, problem = server.send(server.connect(), "POST", SUBMIT, iter(chunks), encode_chunked=True)
    assert (status, problem["code"]) == (413, "body_too_large")


def test_a_chunked_body_within_the_limit_is_taken(server: Server) -> None:
    """A chunked body is read to its end."""
    chunks = (b'{"prompt": "', b"Why", b'?", "model": "alpha"}')
    status, job = server.send(server.connect(), "POST", SUBMIT, iter(chunks), encode_chunked=True)
    assert (status, job["status"]) == (202, "pending")


def test_a_connection_outlives_a_refused_body(server: Server) -> None:
    """After 413 the next request on the connection is answered as usual, or it was closed in order."""
    connection = server.connect()
    assert server.send(connection, "POST", SUBMIT, b"x" * (LIMIT_BYTES + 1))[0] == 413
    assert server.send(connection, "GET", "/api/llm/jobs/?limit=1")[0] == 200


def test_tokens_are_sent_as_they_come(server: Server) -> None:
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


def test_a_reader_that_hangs_up_is_forgotten(server: Server) -> None:
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


def test_waiting_clients_do_not_hold_up_others(server: Server) -> None:
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


def test_a_writer_elsewhere_holds_up_nobody_here(server: Server) -> None:
    """While another process keeps SQLite's write lock, reads and other requests are answered at once."""
    submitting = server.connect()
    body = json.dumps({"prompt": "Why?", "model": "alpha"})
    headers = {"Authorization": f"Bearer {server.key}", "Content-Type": "application/json"}
    with server.database.engine.connect() as writer:
        raw: Any = writer.connection.dbapi_connection
        raw.execute("BEGIN IMMEDIATE")
        submitting.request("POST", SUBMIT, body, headers)
        time.sleep(0.2)
        began = time.monotonic()
        assert server.send(server.connect(), "GET", "/api/llm/jobs/?limit=1")[0] == 200
        assert time.monotonic() - began < 1
        raw.execute("ROLLBACK")
    assert submitting.getresponse().status == 202


def test_nothing_of_a_prompt_is_logged(server: Server) -> None:
    """The server's log holds neither prompts nor keys."""
    log = server.log.read_text()
    assert "Why?" not in log
    assert server.key not in log
    assert "Traceback" not in log
