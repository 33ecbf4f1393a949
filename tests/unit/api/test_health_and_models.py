"""Whether everything works, and which models there are."""

from collections.abc import Callable
from typing import Any

import pytest
import redis

from jobs.model_names import model_id
from jobs.models import Base
from jobs.workers import InstalledModel
from tasks import resources
from tests.unit.api.conftest import Api


def test_this_process_serves(api: Api) -> None:
    """/healthz answers exactly what container health checks look for."""
    assert api.client.get("/healthz").get_json() == {"status": "ok"}


def test_the_root_is_ollamas_line(api: Api) -> None:
    """Ollama's clients look for its line of plain text."""
    answer = api.client.get("/")
    assert (answer.text, answer.mimetype) == ("Ollama is running", "text/plain")


def test_health_needs_a_key(api: Api) -> None:
    """What stands behind this process is not for everybody."""
    assert api.client.get("/api/health").status_code == 401


def test_all_is_healthy(api: Api, report: Callable[..., None]) -> None:
    """Database, broker, workers and every Ollama have an entry; addresses come without passwords."""
    report(InstalledModel("alpha"))
    answer = api.get("/api/health")
    body = answer.get_json()
    assert (answer.status_code, body["status"]) == (200, "healthy")
    assert {body[part]["status"] for part in ("database", "broker", "workers")} == {"healthy"}
    assert (body["workers"]["count"], body["workers"]["slots"]) == (1, 2)
    assert [(entry["url"], entry["models"]) for entry in body["ollama"]] == [("http://gpu:11434", ["alpha"])]


def test_without_workers_it_is_degraded(api: Api) -> None:
    """With no worker jobs are accepted and wait: degraded, and still 200."""
    answer = api.get("/api/health")
    assert (answer.status_code, answer.get_json()["status"]) == (200, "degraded")


def test_an_unhealthy_ollama_degrades(api: Api, report: Callable[..., None]) -> None:
    """One Ollama that does not answer makes the whole degraded."""
    report(ollama_healthy=False)
    assert api.get("/api/health").get_json()["status"] == "degraded"


def test_without_the_broker_it_is_degraded(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """With Redis away jobs are still accepted: degraded, and still 200."""
    away = redis.Redis.from_url("unix:///tmp/no-such.sock")
    monkeypatch.setitem(resources.get_resources().__dict__, "redis", away)
    answer = api.get("/api/health")
    assert (answer.status_code, answer.get_json()["broker"]["status"]) == (200, "unhealthy")


def test_without_the_database_it_is_unhealthy(api: Api) -> None:
    """With the database away no key can be checked: 503, and nothing told but that."""
    Base.metadata.drop_all(api.database.engine)
    answer = api.get("/api/health")
    assert (answer.status_code, answer.get_json()["status"]) == (503, "unhealthy")
    assert set(answer.get_json()) == {"status", "database"}


def test_models_of_all_workers(api: Api, report: Callable[..., None]) -> None:
    """Each model has its lasting id, its size, where it is, and whether it is the default."""
    report(InstalledModel("alpha", size_bytes=9), InstalledModel("beta", size_bytes=5), name="w1")
    report(InstalledModel("alpha", size_bytes=9, is_loaded=True), name="w2")
    found: list[dict[str, Any]] = api.get("/api/llm/models/").get_json()["models"]
    assert found[0] == {
        "id": model_id("alpha"),
        "name": "alpha",
        "provider": "ollama",
        "size_bytes": 9,
        "is_loaded": True,
        "workers": 2,
        "is_active": True,
    }
    assert [(model["name"], model["workers"], model["is_active"]) for model in found[1:]] == [
        ("beta", 1, False)
    ]


def test_no_models(api: Api) -> None:
    """Where no worker ever was, the list is empty."""
    assert api.get("/api/llm/models/").get_json() == {"models": []}


def test_the_default_model_answers_who_names_none(api: Api, report: Callable[..., None]) -> None:
    """A request without a model goes to the one that the list calls active."""
    report(InstalledModel("alpha", size_bytes=9), InstalledModel("beta", size_bytes=5))
    answer = api.post("/api/llm/jobs/submit/", json={"prompt": "x"})
    assert answer.get_json()["model"] == "beta"


def test_the_document_describes_the_routes(api: Api) -> None:
    """The OpenAPI document is 3.1, names the routes, and each failure as a problem."""
    document = api.client.get("/api/openapi.json").get_json()
    assert document["openapi"].startswith("3.1")
    assert {
        "/api/llm/jobs/submit/",
        "/api/llm/jobs/",
        "/api/llm/jobs/{job_id}/",
        "/api/llm/jobs/{job_id}/status/",
        "/api/llm/jobs/{job_id}/result/",
        "/api/llm/jobs/{job_id}/events/",
        "/api/llm/jobs/{job_id}/cancel/",
        "/api/llm/models/",
        "/api/ollama_models/query/",
        "/api/ollama_models/job_status/",
        "/api/health/",
        "/healthz/",
    } <= set(document["paths"])
    submit = document["paths"]["/api/llm/jobs/submit/"]["post"]
    assert "application/problem+json" in submit["responses"]["422"]["content"]
    assert "Problem" in document["components"]["schemas"]
    text = api.client.get("/api/openapi.json").text
    for reference in set(part.split('"')[0] for part in text.split("#/components/schemas/")[1:]):
        assert reference in document["components"]["schemas"]
