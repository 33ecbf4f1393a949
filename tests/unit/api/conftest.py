"""The web application on a database of its own; Redis is a fake, and publishing only noted."""

import tests.environment  # noqa: F401, I001 - before anything reads the settings

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fakeredis
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api import create_app
from api.database import get_database
from api.live import live_events
from jobs.keys import KeyService
from jobs.records import Claimed, Failure, Outcome, Publication
from jobs.service import JobService
from jobs.workers import InstalledModel, WorkerReport, report_worker
from jobs.events import EventWriter
from jobs.instants import utc_now
from settings import Settings, get_settings
from tasks import resources
from tests.support.databases import SqliteTemplate

OUTCOME = Outcome(
    result={"done": True, "eval_count": 2},
    result_data="It scatters.",
    processing_seconds=1.5,
    load_seconds=0.25,
    prompt_tokens=7,
    output_tokens=2,
    tokens_per_second=8.0,
)


class Api:
    """A caller with a key, and a worker's hands to move jobs on."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.client: FlaskClient = app.test_client()
        with app.app_context():
            self.database = get_database()
        self.keys = KeyService(self.database)
        self.key = self.keys.create("tester")
        self.service: JobService = resources.get_resources().service

    def request(self, method: str, path: str, *, key: str | None = None, **options: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {key or self.key}", **options.pop("headers", {})}
        return self.client.open(path, method=method, headers=headers, **options)

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> TestResponse:
        return self.request("POST", path, **options)

    def submit(self, **body: Any) -> str:
        """Submit a job and give its id."""
        key = body.pop("key", None)
        answer = self.post(
            "/api/llm/jobs/submit/", json={"prompt": "Why?", "model": "alpha", **body}, key=key
        )
        assert answer.status_code == 202, answer.text
        return str(answer.get_json()["job_id"])

    def claim(self, job_id: str) -> Claimed:
        claimed = self.service.claim(job_id, publication=1, worker="w1")
        assert claimed is not None
        return claimed

    def complete(self, job_id: str, outcome: Outcome = OUTCOME) -> None:
        assert self.service.finish(job_id, self.claim(job_id).claim, outcome)

    def fail(self, job_id: str, **failure: Any) -> None:
        self.service.fail_attempt(self.claim(job_id), Failure("boom", "It broke.", **failure), worker="w1")


@pytest.fixture
def settings(tmp_path: Path, sqlite_template: SqliteTemplate) -> Settings:
    """The test run's settings with a database of this test's own, and no Redis."""
    changes = {
        "database_url": sqlite_template.copy_to(tmp_path / "paddock.db"),
        "redis_url": "unix:///tmp/no-such.sock",
    }
    return get_settings().model_copy(update=changes)


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[Publication]:
    """What would have been sent to the broker."""
    found: list[Publication] = []
    monkeypatch.setattr(
        "tasks.job_task.publish", lambda _client, publications, **_: found.extend(publications)
    )
    return found


@pytest.fixture
def make_api(
    settings: Settings, published: list[Publication], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Api]]:
    """Makes an application with some settings changed."""
    monkeypatch.setattr(resources, "_by_process", {})
    apps: list[Flask] = []

    def make(**changes: Any) -> Api:
        app = create_app(settings.model_copy(update=changes))
        apps.append(app)
        fake = fakeredis.FakeRedis(decode_responses=True)
        resources.get_resources().__dict__.update(redis=fake, events=EventWriter(fake))
        return Api(app)

    yield make
    for app in apps:
        with app.app_context():
            live_events().close()
            get_database().close()


@pytest.fixture
def api(make_api: Callable[..., Api]) -> Api:
    """An application with the default settings, and a user's key."""
    return make_api()


@pytest.fixture
def report(api: Api) -> Callable[..., None]:
    """Makes a worker report the models of its Ollama."""

    def make(*models: InstalledModel, name: str = "w1", **values: Any) -> None:
        known: dict[str, Any] = {
            "ollama_url": "http://u:p@gpu:11434",
            "ollama_healthy": True,
            "concurrency": 2,
        }
        worker = WorkerReport(
            name, "host", **(known | values), reported_at=utc_now().timestamp(), models=list(models)
        )
        report_worker(resources.get_resources().redis, worker)

    return make
