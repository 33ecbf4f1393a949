"""The API as it is served: gunicorn with gevent, over real sockets."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from jobs.database import Database
from jobs.events import EventWriter
from jobs.keys import KeyService
from jobs.service import JobService
from settings import ROOT, get_settings
from tasks.resources import connect_redis
from tests.integration.system import eventually

SUBMIT = "/api/llm/jobs/submit/"
LIMIT_BYTES = 100_000


class WebServer:
    """gunicorn on a free port, on a database that it migrates, and what a worker would need."""

    def __init__(self, folder: Path, database_url: str, redis_url: str, **settings: str) -> None:
        self._opened: list[Any] = []
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.environment = {
            **os.environ,
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "PORT": str(self.port),
            "PADDOCK_MAX_BODY_BYTES": str(LIMIT_BYTES),
            **settings,
        }
        migrate = [sys.executable, "-m", "flask", "--app", "api", "db", "upgrade"]
        subprocess.run(migrate, cwd=ROOT, env=self.environment, check=True, capture_output=True)
        self.database = Database.connect(database_url)
        self.key = KeyService(self.database).create("t")
        self.service = JobService(self.database)
        settings = get_settings().model_copy(update={"redis_url": redis_url})
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
