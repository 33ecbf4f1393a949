"""What operators see and choose; users see none of it."""

from collections.abc import Callable
from typing import Any

import pytest
import redis
from flask import Flask

from jobs.active_model import choose_active
from jobs.model_names import normalise_model
from jobs.pauses import paused_models, read_paused
from jobs.workers import InstalledModel
from tasks import generate, resources
from tests.unit.api.conftest import Api
from tests.unit.api.test_bad_input import assert_problem

ROUTES = [
    ("GET", "active-model"),
    ("PUT", "active-model"),
    ("GET", "stats"),
    ("GET", "workers"),
    ("GET", "queues"),
    ("DELETE", "queues/hf.co/alpha:1b"),
    ("POST", "queues/hf.co/alpha:1b/pause"),
    ("POST", "queues/hf.co/alpha:1b/resume"),
    ("GET", "keys"),
    ("POST", "keys"),
    ("GET", "keys/usage"),
    ("PATCH", "keys/x"),
    ("POST", "keys/x/rotate"),
    ("DELETE", "keys/x"),
    ("GET", "dead-letters"),
    ("POST", "dead-letters/x/retry"),
]


@pytest.fixture
def admin(api: Api) -> str:
    """An admin's key."""
    return api.keys.create("root", "admin")


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_only_admins_are_answered(api: Api, method: str, path: str, slash: str) -> None:
    """A user's key gets 403, none 401, whatever else is wrong with the request."""
    path = f"/api/admin/{path}{slash}"
    assert_problem(api.request(method, path), 403, "forbidden")
    assert_problem(api.client.open(path, method=method), 401, "unauthorized")


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(
    "path", ["active-model", "stats", "workers", "queues", "keys", "keys/usage", "dead-letters"]
)
def test_both_forms_of_a_path_answer(api: Api, admin: str, path: str, slash: str) -> None:
    """With and without its last slash a path answers alike."""
    assert api.get(f"/api/admin/{path}{slash}", key=admin).status_code == 200


def test_every_operation_is_documented(api: Api) -> None:
    """The document has each route, its 401 and 403."""
    paths: dict[str, Any] = api.client.get("/api/openapi.json").get_json()["paths"]
    found = {
        (method.upper(), path)
        for path, operations in paths.items()
        if path.startswith("/api/admin/")
        for method, operation in operations.items()
        if {"401", "403"} <= operation["responses"].keys()
    }
    assert len(found) == len(ROUTES)
    rotate = next(paths[path]["post"] for _, path in found if path.rstrip("/").endswith("rotate"))
    assert not rotate["requestBody"]["required"]


# --- the active model -------------------------------------------------------------------------------


def activate(api: Api, admin: str, model: str | None) -> Any:
    return api.request("PUT", "/api/admin/active-model", key=admin, json={"model": model})


def model_of(api: Api, **body: Any) -> str:
    answer = api.post("/api/llm/jobs/submit/", json={"prompt": "Why?", **body})
    assert answer.status_code == 202, answer.text
    return str(answer.get_json()["model"])


def test_requests_without_a_model_follow_the_active_one_at_once(
    api: Api, admin: str, report: Callable[..., None]
) -> None:
    """Named, else active, else what is loaded or smallest: from the next request on."""
    report(InstalledModel("small", 1), InstalledModel("big", 9))
    assert model_of(api) == "small"
    assert activate(api, admin, "BIG:latest").get_json() == {"model": "big", "resolved": "big"}
    assert model_of(api) == "big"
    assert model_of(api, model="small") == "small"
    assert api.get("/api/admin/active-model/", key=admin).get_json()["model"] == "big"
    assert activate(api, admin, None).get_json() == {"model": None, "resolved": "small"}
    assert model_of(api) == "small"


def test_python_code_follows_the_active_model(api: Api, admin: str, report: Callable[..., None]) -> None:
    """`.delay()` without a model gets the active one too."""
    report(InstalledModel("small", 1), InstalledModel("big", 9))
    activate(api, admin, "big")
    result = generate.delay("Why?")
    assert api.get(f"/api/llm/jobs/{result.id}/", key=admin).get_json()["model"] == "big"


def test_the_active_model_goes_before_the_configured_one(make_api: Callable[..., Api]) -> None:
    """PADDOCK_MODEL is the default until a model is activated."""
    api = make_api(model="configured")
    admin = api.keys.create("root", "admin")
    assert model_of(api) == "configured"
    activate(api, admin, "chosen")
    assert model_of(api) == "chosen"


def test_a_model_that_nobody_has_is_not_activated(api: Api, admin: str, report: Callable[..., None]) -> None:
    """While workers live, an unknown model gets 404 and the list of those that there are."""
    report(InstalledModel("small"))
    problem = assert_problem(activate(api, admin, "nobody"), 404, "model_not_found")
    assert "small" in problem["detail"]
    assert api.get("/api/admin/active-model", key=admin).get_json()["model"] is None


def test_an_active_model_that_is_gone_resolves_to_nothing(
    api: Api, admin: str, report: Callable[..., None]
) -> None:
    """An active model that no worker has any more is shown, and requests without a model are refused."""
    choose_active(api.database, "gone")
    report(InstalledModel("small"))
    assert api.get("/api/admin/active-model", key=admin).get_json() == {"model": "gone", "resolved": None}
    answer = api.post("/api/llm/jobs/submit/", json={"prompt": "Why?"})
    assert_problem(answer, 404, "model_not_found")
    assert api.get("/api/llm/models/").status_code == 200


@pytest.mark.parametrize("body", [{}, {"model": ""}, {"model": 3}, {"model": "a b"}, {"mdl": "a"}])
def test_a_wrong_active_model(api: Api, admin: str, body: dict[str, Any]) -> None:
    """What is no model's name gets 422."""
    answer = api.request("PUT", "/api/admin/active-model", key=admin, json=body)
    assert_problem(answer, 422, "invalid_request")


# --- workers, queues, statistics, dead letters ------------------------------------------------------


def test_workers_are_listed_with_what_they_run(api: Api, admin: str, report: Callable[..., None]) -> None:
    """A worker is shown with its Ollama, models and running jobs; a URL without its password."""
    report(InstalledModel("alpha", 5, is_loaded=True), name="w1", ollama_version="0.24")
    job_id = api.submit()
    api.claim(job_id)
    answer = api.get("/api/admin/workers", key=admin).get_json()
    (worker,) = answer["workers"]
    assert worker["ollama"] == {
        "url": "http://gpu:11434",
        "is_healthy": True,
        "version": "0.24",
        "is_simulated": False,
    }
    assert worker["models"] == [{"name": "alpha", "size_bytes": 5, "is_loaded": True}]
    assert worker["reported_seconds_ago"] < 5
    assert [job["job_id"] for job in worker["running"]] == [job_id]
    assert answer["lost"] == []


def test_jobs_of_a_worker_that_is_gone_are_lost(api: Api, admin: str) -> None:
    """A running job whose worker does not report is listed apart."""
    job_id = api.submit()
    api.claim(job_id)
    answer = api.get("/api/admin/workers", key=admin).get_json()
    assert answer["workers"] == []
    assert [job["job_id"] for job in answer["lost"]] == [job_id]


def test_queues_show_backlog_and_lists(api: Api, admin: str, report: Callable[..., None]) -> None:
    """Pending jobs by priority from the database, messages by level from Redis."""
    report(InstalledModel("alpha"), InstalledModel("beta"))
    done, running, *_ = [api.submit(priority=p) for p in (5, 5, 0, 9, 9)]
    api.complete(done)
    api.claim(running)
    client = resources.get_resources().redis
    client.lpush("ollama.alpha", "m")
    client.lpush("ollama.alpha\x06\x169", "m", "m")
    queues = {q["model"]: q for q in api.get("/api/admin/queues", key=admin).get_json()["queues"]}
    alpha = queues["alpha"]
    assert (alpha["pending"], alpha["lined_up"], alpha["processing"]) == (3, 3, 1)
    assert (alpha["completed_last_minute"], alpha["workers"]) == (1, 1)
    assert 0 <= alpha["oldest_wait_seconds"] < 60
    assert alpha["levels"] == [
        {"priority": 0, "pending": 1, "lined_up": 1},
        {"priority": 9, "pending": 2, "lined_up": 2},
    ]
    assert queues["beta"]["pending"] == 0
    assert queues["beta"]["oldest_wait_seconds"] is None


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("name", ["alpha", "HF.co/User/Model:Q4_K_M"])
def test_a_queue_is_paused_and_resumed(api: Api, admin: str, name: str, slash: str) -> None:
    """Workers see it in Redis, operators in the list; doing it twice is no error."""
    model, client = normalise_model(name), resources.get_resources().redis
    for _ in range(2):
        answer = api.post(f"/api/admin/queues/{name}/pause{slash}", key=admin)
        assert (answer.status_code, answer.get_json()) == (200, {"model": model, "is_paused": True})
    assert paused_models(client) == {model}
    (queue,) = api.get("/api/admin/queues", key=admin).get_json()["queues"]
    assert (queue["model"], queue["paused_at"] is None) == (model, False)
    for _ in range(2):
        answer = api.post(f"/api/admin/queues/{name}/resume{slash}", key=admin)
        assert (answer.status_code, answer.get_json()) == (200, {"model": model, "is_paused": False})
    assert paused_models(client) == set()
    assert api.get("/api/admin/queues", key=admin).get_json()["queues"] == []


def test_a_queue_is_paused_without_redis(api: Api, admin: str) -> None:
    """The decision is kept; workers learn of it once Redis is back."""
    resources.get_resources().__dict__["redis"] = redis.Redis.from_url("unix:///tmp/no-such.sock")
    assert api.post("/api/admin/queues/alpha/pause/", key=admin).status_code == 200
    with api.database.reading() as session:
        assert set(read_paused(session)) == {"alpha"}


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_queue_is_cleared(api: Api, admin: str, slash: str) -> None:
    """All that waits for the model is cancelled, everybody's; what runs or is another model's goes on."""
    waiting = [api.submit(model="hf.co/a/b:c"), api.submit(model="hf.co/a/b:c", key=admin, priority=9)]
    running, other = api.submit(model="hf.co/a/b:c"), api.submit()
    api.claim(running)
    answer = api.request("DELETE", f"/api/admin/queues/hf.co/a/b:c{slash}", key=admin)
    assert (answer.status_code, answer.get_json()) == (200, {"model": "hf.co/a/b:c", "cancelled": 2})
    for job_id, status in [
        *((one, "cancelled") for one in waiting),
        (running, "processing"),
        (other, "pending"),
    ]:
        assert api.get(f"/api/llm/jobs/{job_id}/", key=admin).get_json()["status"] == status
    answer = api.get(f"/api/llm/jobs/{waiting[0]}/").get_json()
    assert answer["error"]["message"] == "The queue was cleared."
    again = api.request("DELETE", "/api/admin/queues/hf.co/a/b:c/", key=admin)
    assert again.get_json()["cancelled"] == 0


@pytest.mark.parametrize(("method", "end"), [("DELETE", ""), ("POST", "/pause"), ("POST", "/resume")])
def test_what_is_no_model_has_no_queue(api: Api, admin: str, method: str, end: str) -> None:
    """422, whatever is asked of it."""
    answer = api.request(method, f"/api/admin/queues/a b{end}", key=admin)
    assert_problem(answer, 422, "invalid_request")


def test_queues_without_redis(api: Api, admin: str) -> None:
    """While Redis is away the backlog is shown, and what is lined up is not known."""
    api.submit()
    resources.get_resources().__dict__["redis"] = redis.Redis.from_url("unix:///tmp/no-such.sock")
    (queue,) = api.get("/api/admin/queues", key=admin).get_json()["queues"]
    assert (queue["pending"], queue["lined_up"]) == (1, None)


def test_statistics_over_an_hour_and_a_day(api: Api, admin: str) -> None:
    """Counts, success rate, times and speed, overall and by model."""
    for _ in range(3):
        api.complete(api.submit())
    api.fail(api.submit(model="beta"))
    waiting = api.submit()
    api.post(f"/api/llm/jobs/{waiting}/cancel/")
    api.submit()
    answer = api.get("/api/admin/stats", key=admin).get_json()
    assert answer["totals"] == {
        "pending": 1,
        "processing": 0,
        "completed": 3,
        "failed": 1,
        "cancelled": 1,
        "expired": 0,
    }
    for window in (answer["last_hour"], answer["last_day"]):
        overall = window["overall"]
        assert (overall["total"], overall["success_rate"]) == (5, 0.75)
        assert overall["processing_seconds"] == {"mean": 1.5, "p95": 1.5}
        assert overall["tokens_per_second"] == 8.0
        assert [(of["model"], of["total"]) for of in window["by_model"]] == [("alpha", 4), ("beta", 1)]
        assert window["by_model"][1]["processing_seconds"] == {"mean": None, "p95": None}


def test_dead_letters_are_the_failed_jobs_of_all(api: Api, admin: str) -> None:
    """Failed jobs come newest first with their attempts' errors, and can be run again."""
    first, second = api.submit(), api.submit(model="beta")
    api.submit()
    for job_id in (first, second):
        api.fail(job_id)
    listed = api.get("/api/admin/dead-letters", key=admin).get_json()["jobs"]
    assert [job["job_id"] for job in listed] == [second, first]
    assert listed[0]["error"]["attempt_errors"][0]["message"] == "It broke."
    page = api.get("/api/admin/dead-letters?model=beta&limit=1", key=admin).get_json()
    assert [job["job_id"] for job in page["jobs"]] == [second]
    answer = api.post(f"/api/admin/dead-letters/{first}/retry", key=admin)
    assert (answer.status_code, answer.get_json()["status"]) == (202, "pending")


def test_only_a_failed_job_is_a_dead_letter(api: Api, admin: str) -> None:
    """A job that did not fail is not among the dead letters."""
    path = f"/api/admin/dead-letters/{api.submit()}/retry"
    assert_problem(api.post(path, key=admin), 404, "job_not_found")


def test_without_keys_everybody_is_an_admin(make_api: Callable[..., Api]) -> None:
    """With PADDOCK_AUTH=off this machine's user is the operator."""
    app: Flask = make_api(auth="off").app
    assert app.test_client().get("/api/admin/queues").status_code == 200
