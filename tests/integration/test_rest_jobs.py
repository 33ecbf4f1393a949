"""The Job API's routes with a real worker behind them."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text
from werkzeug.test import TestResponse

from api import create_app
from api.database import get_database
from api.live import live_events
from jobs.keys import KeyService
from jobs.model_names import model_id
from jobs.models import Job
from ollama_client.simulator.answers import expected_text
from tasks import resources
from tasks.services import SERVICES, TASKS
from tests.integration.system import System, eventually

JOBS = "/api/llm/jobs"
pytestmark = pytest.mark.usefixtures("worker")


class Rest:
    """A caller with a key."""

    def __init__(self, client: FlaskClient, key: str) -> None:
        self._client = client
        self._headers = {"Authorization": f"Bearer {key}"}

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
        options = {} if body is None else {"json": body}
        return self._client.open(path, method=method, headers={**self._headers, **headers}, **options)

    def submit(self, path: str = f"{JOBS}/submit/", wait: int = 0, **body: Any) -> dict[str, Any]:
        answer = self("POST", path, body, Prefer=f"wait={wait}")
        assert answer.status_code in (200, 202), answer.text
        job: dict[str, Any] = answer.get_json()
        return job

    def ended(self, job_id: str) -> dict[str, Any]:
        job: dict[str, Any] = self("GET", f"{JOBS}/{job_id}/status/?wait=20").get_json()
        assert job["is_complete"], job
        return job


@pytest.fixture(scope="module")
def rest(system: System) -> Iterator[Rest]:
    """The web application in this process, on the worker's database and Valkey."""
    before = dict(resources._by_process)
    app = create_app()
    with app.app_context():
        key = KeyService(get_database()).create("tester")
    yield Rest(app.test_client(), key)
    with app.app_context():
        live_events().close()
        get_database().close()
    resources._by_process.clear()
    resources._by_process.update(before)


@pytest.fixture
def slow(system: System) -> Iterator[None]:
    """Twenty tokens a second."""
    system.ollama.control(tokens_per_second=20)
    yield
    system.ollama.control(tokens_per_second=0)


def test_a_submit_that_waits_is_one_request(rest: Rest) -> None:
    """`Prefer: wait` answers 200 with the completed job."""
    answer = rest("POST", f"{JOBS}/submit/", {"prompt": "quick", "model": "alpha"}, Prefer="wait=20")
    assert answer.status_code == 200
    assert answer.get_json()["result_data"] == expected_text("generate", "alpha", "quick", 5)


@pytest.mark.usefixtures("slow")
def test_a_job_that_starts_too_late_expires(rest: Rest) -> None:
    """A job that no slot was free for by its deadline is expired, was never generated, and can run again."""
    long = {"prompt": "long", "model": "alpha", "options": {"num_predict": 1000}}
    running = [rest.submit(**long)["job_id"] for _ in range(4)]
    late = rest.submit(prompt="late", model="alpha", deadline_seconds=0.3)["job_id"]
    job = rest.ended(late)
    assert (job["status"], job["error"]["code"], job["started_at"]) == ("expired", "expired", None)
    assert rest("GET", f"{JOBS}/{late}/result/").get_json()["code"] == "job_expired"
    for job_id in running:
        assert rest("POST", f"{JOBS}/{job_id}/cancel/").status_code == 202
    assert rest("POST", f"{JOBS}/{late}/retry/").status_code == 202
    assert rest.ended(late)["status"] == "completed"


@pytest.mark.usefixtures("slow")
def test_a_job_that_takes_too_long_fails(rest: Rest, system: System) -> None:
    """`timeout_seconds` ends a running job at once and for good."""
    job = rest.submit(
        prompt="slow", model="alpha", options={"num_predict": 1000}, timeout_seconds=0.5, wait=20
    )
    assert (job["status"], job["error"]["code"], job["attempts"]) == ("failed", "total_timeout", 1)
    assert eventually(lambda: system.ollama.ended(job=job["job_id"]))[0]["outcome"] == "client_gone"


@pytest.mark.usefixtures("slow")
def test_a_cancelled_job_runs_again(rest: Rest, system: System) -> None:
    """A retry of a job that was cancelled while it ran gives the whole answer, and readers get both runs."""
    job_id = rest.submit(prompt="again", model="alpha", options={"num_predict": 30})["job_id"]
    eventually(lambda: system.ollama.started(job=job_id))
    rest("POST", f"{JOBS}/{job_id}/cancel/")
    assert rest("POST", f"{JOBS}/{job_id}/retry/").status_code == 202
    events = rest("GET", f"{JOBS}/{job_id}/events/").text
    assert events.count("event: done") == events.count("event: restart") == 1
    assert rest.ended(job_id)["result_data"] == expected_text("generate", "alpha", "again", 30)


def test_a_failed_job_runs_again(rest: Rest, system: System) -> None:
    """A retried job has a new budget of attempts and keeps no error once it is completed."""
    system.ollama.control(fail_next={"kind": "http_500", "count": 3})
    job = rest.submit(prompt="unlucky", model="alpha", wait=30)
    assert (job["status"], job["attempts"]) == ("failed", 3)
    assert rest("POST", f"{JOBS}/{job['job_id']}/retry/").status_code == 202
    job = rest.ended(job["job_id"])
    assert (job["status"], job["attempts"], job["error"]) == ("completed", 0, None)
    again = rest("POST", f"{JOBS}/{job['job_id']}/retry/")
    assert (again.status_code, again.get_json()["code"]) == (409, "already_complete")


@pytest.mark.parametrize("name", list(SERVICES))
def test_a_service_is_run_by_a_worker(rest: Rest, system: System, name: str) -> None:
    """Its route and its task make the same job, which a worker runs under the service's name."""
    service = SERVICES[name]
    job = rest.submit(f"/api/llm/services/{name}/", wait=20, **service.example, model="alpha")
    assert (job["status"], job["service"]) == ("completed", name)
    result = TASKS[name].delay(**service.example, model="alpha")
    texts = [job["result_data"], result.get(timeout=20)["text"]]
    assert all(texts)
    row: Job = system.job(result.id)
    assert (row.service, row.task, row.priority) == (name, service.task_name, service.priority)
    for found in texts if service.answer is not None else ():
        service.answer.model_validate_json(found)


def test_a_trainer_s_analysis(rest: Rest) -> None:
    """It runs on the model whose id was given, and its question's id comes back."""
    body = {
        "model_id": model_id("beta"),
        "question_id": "q-1",
        "system_message": "Be fair.",
        "full_input": "A",
    }
    job = rest.submit("/api/llm/trainer-analysis/", wait=20, **body)
    assert (job["status"], job["model"], job["metadata"]) == ("completed", "beta", {"question_id": "q-1"})


def test_finished_jobs_are_in_the_view(rest: Rest, system: System) -> None:
    """ollama_job_responses has each finished job's prompt and answer, or why there is none."""
    made = {
        "done": rest.submit(prompt="a\0 \\u0000 😀", model="alpha", wait=20)["job_id"],
        "chat": rest.submit(messages=[{"role": "user", "content": "hi"}], model="beta", wait=20)["job_id"],
        "embed": rest.submit(input="one", model="gamma", wait=20)["job_id"],
        "failed": rest.submit(prompt="x", model="alpha", timeout_seconds=0.000_001, wait=20)["job_id"],
    }
    held = rest.submit(prompt="held", model="alpha")["job_id"]
    rest("POST", f"{JOBS}/{held}/cancel/")
    rest.ended(held)
    select = text("SELECT prompt, state, data FROM ollama_job_responses WHERE job_id = :id")
    with system.database.reading() as session:
        rows = {name: session.execute(select, {"id": job_id}).one() for name, job_id in made.items()}
        columns = session.execute(text("SELECT * FROM ollama_job_responses")).keys()
        states = set(session.execute(text("SELECT state FROM ollama_job_responses")).scalars())
    assert list(columns) == ["job_id", "prompt", "state", "data"]
    answer = rest("GET", f"{JOBS}/{made['done']}/").get_json()["result_data"]
    assert tuple(rows["done"]) == ("a\ufffd \\u0000 😀", "done", answer)
    message = rest("GET", f"{JOBS}/{made['chat']}/").get_json()["result_data"]
    assert tuple(rows["chat"]) == ("hi", "done", message["content"])
    assert (rows["embed"].prompt, rows["embed"].data[:2]) == ("one", "[[")
    assert rows["failed"].state == "failed"
    assert "time" in rows["failed"].data
    assert states == {"done", "failed"}
