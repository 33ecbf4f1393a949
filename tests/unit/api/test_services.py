"""The services' routes and the trainer's analysis."""

from collections.abc import Callable
from typing import Any

import pytest

from jobs.model_names import model_id
from jobs.workers import InstalledModel
from tasks.service import Service
from tasks.services import SERVICES
from tests.unit.api.conftest import Api
from tests.unit.api.test_bad_input import assert_problem

ANALYSIS = "/api/llm/trainer-analysis/"
BODY = {
    "model_id": "alpha",
    "question_id": "q-17",
    "system_message": "You are a trainer.",
    "full_input": "Assess this.",
}


@pytest.mark.parametrize("service", SERVICES.values(), ids=list(SERVICES))
def test_a_service_makes_a_job(api: Api, service: Service) -> None:
    """Each service answers 202 with a job that bears its name, and has its prompt and options."""
    body = {**service.example, "model": "alpha", "metadata": {"a": "b"}}
    answer = api.post(f"/api/llm/services/{service.name}/", json=body)
    assert answer.status_code == 202, answer.text
    job = api.get(answer.headers["Location"]).get_json()
    assert (job["service"], job["model"], job["priority"]) == (service.name, "alpha", service.priority)
    assert job["metadata"] == {"a": "b"}
    assert job["input"]["options"] == {"temperature": service.temperature, "num_predict": service.max_tokens}
    assert job["input"]["system"] == service.system
    with api.database.reading() as session:
        from jobs.models import Job

        assert session.get_one(Job, job["job_id"]).task == service.task_name
    listed = api.get(f"/api/llm/jobs/?service={service.name}").get_json()["jobs"]
    assert [found["job_id"] for found in listed] == [job["job_id"]]


def test_a_service_s_input_is_checked_by_field(api: Api) -> None:
    """A missing, wrong or unknown field gets 422 by its name."""
    path = "/api/llm/services/skill-demand/"
    for body, field in (({}, "skill"), ({"skill": ""}, "skill"), ({"skill": "x", "prompt": "y"}, "prompt")):
        assert field in assert_problem(api.post(path, json=body), 422, "invalid_request")["errors"]
    assert_problem(api.post("/api/llm/services/no-such/", json={}), 404, "route_not_found")


def test_a_service_s_input_that_is_no_text(api: Api) -> None:
    """Half a surrogate pair in a record gets 422."""
    answer = api.post(
        "/api/llm/services/data-cleaning/",
        data='{"records": [{"a": "\\ud800"}]}',
        content_type="application/json",
    )
    assert_problem(answer, 422, "invalid_request")


@pytest.mark.parametrize("service", SERVICES.values(), ids=list(SERVICES))
def test_a_service_is_documented_with_its_example(api: Api, service: Service) -> None:
    """The OpenAPI document has each service's fields and an example that works."""
    document = api.get("/api/openapi.json").get_json()
    operation = document["paths"][f"/api/llm/services/{service.name}/"]["post"]
    content = operation["requestBody"]["content"]["application/json"]
    assert content["example"] == service.example
    schema = document["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
    assert set(service.example) <= schema["properties"].keys()
    assert operation["summary"] == service.summary


@pytest.mark.parametrize("given", ["alpha", "Alpha:latest", model_id("alpha"), model_id("alpha").upper()])
def test_a_trainer_s_analysis(api: Api, report: Callable[..., None], given: str) -> None:
    """The model may be named or given by its id; the question's id comes back in the metadata."""
    report(InstalledModel("alpha"), InstalledModel("beta"))
    answer = api.post(ANALYSIS, json=BODY | {"model_id": given})
    assert answer.status_code == 202, answer.text
    job = api.get(answer.headers["Location"]).get_json()
    assert (job["model"], job["service"], job["kind"]) == ("alpha", "trainer-analysis", "generate")
    assert job["metadata"] == {"question_id": "q-17"}
    assert job["input"] == {"prompt": "Assess this.", "system": "You are a trainer."}


def test_a_question_s_id_may_be_a_number(api: Api) -> None:
    """A number comes back as text, as all metadata is."""
    job = api.post(ANALYSIS, json=BODY | {"question_id": 17}).get_json()
    assert job["metadata"] == {"question_id": "17"}


@pytest.mark.parametrize("given", [model_id("gone"), "gamma", "no/such model", "", "\0", "x" * 255])
def test_an_analysis_on_a_model_that_is_not_there(api: Api, report: Callable[..., None], given: str) -> None:
    """An unknown id or name gets 404 with the models that there are."""
    report(InstalledModel("alpha"))
    problem = assert_problem(api.post(ANALYSIS, json=BODY | {"model_id": given}), 404, "model_not_found")
    assert "alpha" in problem["detail"]


@pytest.mark.parametrize(
    ("change", "field"),
    [({"full_input": ""}, "full_input"), ({"question_id": True}, "question_id"), ({"extra": 1}, "extra")],
)
def test_an_analysis_that_is_wrong(api: Api, change: dict[str, Any], field: str) -> None:
    """A field that is not allowed gets 422 by its name."""
    assert field in assert_problem(api.post(ANALYSIS, json=BODY | change), 422, "invalid_request")["errors"]


def test_a_model_s_id_is_the_same_everywhere(api: Api, report: Callable[..., None]) -> None:
    """A model's id follows from its name alone, in whatever way that is written."""
    report(InstalledModel("llama3.1:8b"))
    (model,) = api.get("/api/llm/models/").get_json()["models"]
    assert model["id"] == "3b17d78d-d5bc-561c-8ff3-25e471ebfd86"
    assert model_id("Library/LLAMA3.1:8b") == model["id"]
