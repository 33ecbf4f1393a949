"""The Job API: what a job looks like, from its submission to its end."""

import re
from typing import Any

import pytest
from flask import request

from jobs.records import Failure, Outcome, Publication
from tests.support.statements import statements_heard
from tests.unit.api.conftest import Api

JOB_FIELDS = [
    *("job_id", "status", "is_complete", "kind", "service", "model", "priority", "queue_position"),
    *("estimated_wait_seconds", "attempts", "created_at", "started_at", "completed_at", "queue_seconds"),
    *("processing_time", "load_seconds", "prompt_tokens", "output_tokens", "tokens_per_second", "worker"),
    *("metadata", "error", "result_data", "urls"),
]
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def test_a_submitted_job(api: Api, published: list[Publication]) -> None:
    """Submitting answers 202, where the job is, and the job as the contract lists it."""
    body = {"prompt": "Why?", "model": "Alpha:latest", "priority": "high", "metadata": {"a": "b"}}
    answer = api.post("/api/llm/jobs/submit/", json=body)
    job = answer.get_json()
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/api/llm/jobs/{job['job_id']}/"
    assert answer.headers["Retry-After"] == "2"
    assert list(job) == JOB_FIELDS
    assert (job["status"], job["is_complete"], job["kind"], job["model"]) == (
        *("pending", False),
        *("generate", "alpha"),
    )
    assert (job["priority"], job["metadata"], job["queue_position"]) == (2, {"a": "b"}, 0)
    assert TIME.fullmatch(job["created_at"])
    assert [message.job_id for message in published] == [job["job_id"]]


def test_a_job_that_ends_before_its_submit_is_answered(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Submitting without waiting answers 202 and the job as it was accepted, however quick the worker was."""

    def complete_at_once(job_id: str) -> bool:
        api.complete(job_id)
        return "Prefer" in request.headers

    monkeypatch.setattr("api.submitting.wait_as_preferred", complete_at_once)
    body = {"prompt": "Why?", "model": "alpha"}
    answer = api.post("/api/llm/jobs/submit/", json=body)
    assert (answer.status_code, answer.get_json()["status"]) == (202, "pending")
    assert api.post("/api/llm/jobs/submit/", json=body, headers={"Prefer": "wait=1"}).status_code == 200


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"messages": [{"role": "user", "content": "Hi"}]}, "chat"),
        ({"input": ["a", "b"]}, "embed"),
        ({"input": "a", "kind": "embed"}, "embed"),
    ],
)
def test_the_kind_follows_from_the_body(api: Api, body: dict[str, Any], kind: str) -> None:
    """Messages make a chat, input an embedding, each run by its own task."""
    answer = api.post("/api/llm/jobs/submit/", json={**body, "model": "alpha"})
    assert answer.get_json()["kind"] == kind


def test_the_urls_of_a_job(api: Api) -> None:
    """Every address that a job names exists."""
    job = api.get(f"/api/llm/jobs/{api.submit()}/").get_json()
    assert set(job["urls"]) == {"status", "result", "events", "cancel", "why"}
    assert api.get(job["urls"]["status"]).status_code == 200
    assert api.get(job["urls"]["why"]).status_code == 200
    assert api.get(job["urls"]["result"]).status_code == 409
    assert api.post(job["urls"]["cancel"]).status_code == 202


def test_urls_behind_a_prefix(api: Api) -> None:
    """Behind a server's path prefix, addresses carry it."""
    answer = api.post(
        "/api/llm/jobs/submit/",
        json={"prompt": "x", "model": "alpha"},
        environ_overrides={"SCRIPT_NAME": "/paddock"},
    )
    assert answer.headers["Location"].startswith("/paddock/api/llm/jobs/")
    assert answer.get_json()["urls"]["events"].startswith("/paddock/api/llm/jobs/")


def test_a_completed_job(api: Api) -> None:
    """A completed job has its figures, its text and, asked for whole, its input and Ollama's final object."""
    job_id = api.submit(prompt="Why?", options={"seed": 1})
    api.complete(job_id)
    job = api.get(f"/api/llm/jobs/{job_id}/").get_json()
    assert list(job) == [*JOB_FIELDS, "input", "result"]
    assert (job["status"], job["is_complete"], job["result_data"]) == ("completed", True, "It scatters.")
    assert job["input"] == {"prompt": "Why?", "options": {"seed": 1}}
    assert job["result"] == {"done": True, "eval_count": 2, "response": "It scatters."}
    assert (job["processing_time"], job["load_seconds"], job["tokens_per_second"]) == (1.5, 0.25, 8.0)
    assert (job["prompt_tokens"], job["output_tokens"], job["worker"]) == (7, 2, "w1")
    assert job["queue_seconds"] >= 0
    assert (job["error"], job["queue_position"]) == (None, None)
    assert api.get(f"/api/llm/jobs/{job_id}/result/").get_json() == job


def test_the_status_of_a_completed_job(api: Api) -> None:
    """Its status is the job without input and result, and nobody is told to ask again."""
    job_id = api.submit()
    api.complete(job_id)
    answer = api.get(f"/api/llm/jobs/{job_id}/status/?wait=60")
    assert list(answer.get_json()) == JOB_FIELDS
    assert "Retry-After" not in answer.headers


def test_the_status_of_a_waiting_job(api: Api) -> None:
    """While a job is not complete, its status says when to ask again."""
    answer = api.get(f"/api/llm/jobs/{api.submit()}/status/")
    assert (answer.status_code, answer.headers["Retry-After"]) == (200, "2")


def test_a_wait_that_is_over_before_the_job(api: Api) -> None:
    """A wait ends after its seconds, Redis there or not, and answers the job as it is."""
    answer = api.get(f"/api/llm/jobs/{api.submit()}/status/?wait=0.05")
    assert answer.get_json()["status"] == "pending"


def test_a_failed_job(api: Api) -> None:
    """A failed job has its error, and that of each attempt."""
    job_id = api.submit()
    api.fail(job_id)
    error = api.get(f"/api/llm/jobs/{job_id}/").get_json()["error"]
    assert (error["code"], error["message"]) == ("boom", "It broke.")
    assert [(attempt["code"], attempt["worker"]) for attempt in error["attempt_errors"]] == [("boom", "w1")]


def test_the_text_of_an_aborted_generation(api: Api) -> None:
    """A generation that was aborted keeps what it had written."""
    job_id = api.submit()
    failure = Failure("generation_aborted", "It stopped.", text="It sc")
    api.service.fail_attempt(api.claim(job_id), failure, worker="w1")
    job = api.get(f"/api/llm/jobs/{job_id}/").get_json()
    assert (job["status"], job["result_data"], job["result"]) == ("failed", "It sc", None)


def test_a_job_between_attempts(api: Api) -> None:
    """A job that will be tried again is pending, and shows why it was not done at once."""
    job_id = api.submit()
    api.fail(job_id, is_retryable=True)
    job = api.get(f"/api/llm/jobs/{job_id}/status/").get_json()
    assert (job["status"], job["attempts"], job["error"]["code"]) == ("pending", 1, "boom")
    assert job["queue_position"] is None


def test_a_job_that_recovered(api: Api) -> None:
    """A completed job has no error, whatever its first attempts met."""
    job_id = api.submit()
    api.service.fail_attempt(api.claim(job_id), Failure("boom", "It broke.", is_retryable=True), worker="w1")
    api.service.cancel(job_id)
    publication = api.service.retry(job_id).publication
    claimed = api.service.claim(job_id, publication=publication, worker="w2")
    assert claimed is not None
    api.service.finish(job_id, claimed.claim, Outcome({"done": True}, "ok", 1.0))
    assert api.get(f"/api/llm/jobs/{job_id}/").get_json()["error"] is None


def test_a_message_with_odd_text_can_be_shown(api: Api) -> None:
    """An answer that is no valid Unicode is shown all the same."""
    job_id = api.submit(messages=[{"role": "user", "content": "x"}], prompt=None)
    api.complete(job_id, Outcome({"done": True}, {"role": "assistant", "content": "\ud83d"}, 1.0))
    assert api.get(f"/api/llm/jobs/{job_id}/").get_json()["result_data"]["content"] == "\ud83d"


def test_a_cancelled_job(api: Api) -> None:
    """Cancelling answers 202 and the job as it now is."""
    job_id = api.submit()
    answer = api.post(f"/api/llm/jobs/{job_id}/cancel/")
    assert (answer.status_code, answer.get_json()["status"]) == (202, "cancelled")
    assert answer.get_json()["error"]["code"] == "cancelled"


def test_a_list_is_the_callers_own(api: Api) -> None:
    """A user lists its own jobs, the newest first; an admin lists all."""
    stranger, admin = api.keys.create("stranger"), api.keys.create("root", "admin")
    mine = [api.submit(), api.submit()]
    theirs = api.submit(key=stranger)
    assert [job["job_id"] for job in api.get("/api/llm/jobs/").get_json()["jobs"]] == mine[::-1]
    listed = api.get("/api/llm/jobs/", key=admin).get_json()["jobs"]
    assert [job["job_id"] for job in listed] == [theirs, *mine[::-1]]
    assert list(listed[0]) == JOB_FIELDS


def test_a_list_in_pages(api: Api) -> None:
    """Following next_cursor meets every job once, also while new ones come."""
    made = [api.submit() for _ in range(5)]
    seen: list[str] = []
    path = "/api/llm/jobs/?limit=2"
    while True:
        page = api.get(path).get_json()
        seen += [job["job_id"] for job in page["jobs"]]
        api.submit()
        if page["next_cursor"] is None:
            break
        path = f"/api/llm/jobs/?limit=2&cursor={page['next_cursor']}"
    assert seen == made[::-1]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("status=completed", 0),
        ("status=pending", 1),
        ("model=beta", 1),
        ("model=BETA:latest", 1),
        ("kind=embed", 2),
    ],
)
def test_a_list_by_filter(api: Api, query: str, expected: int) -> None:
    """Status, model and kind each restrict the list."""
    made = [api.submit(), api.submit(model="beta"), api.submit(input="x", prompt=None)]
    api.complete(made[0])
    api.claim(made[2])
    listed = api.get(f"/api/llm/jobs/?{query}").get_json()["jobs"]
    assert [job["job_id"] for job in listed] == [made[expected]]


def test_a_list_shows_what_each_job_shows(api: Api) -> None:
    """A list's jobs have results, errors and positions like a single one."""
    made = [api.submit() for _ in range(5)]
    api.complete(made[0])
    api.fail(made[1])
    for job in api.get("/api/llm/jobs/").get_json()["jobs"]:
        assert job == api.get(f"/api/llm/jobs/{job['job_id']}/status/").get_json()


def test_positions_in_a_list_follow_the_priority(api: Api) -> None:
    """An urgent job is ahead of those that came before it."""
    made = [api.submit(), api.submit(priority="urgent"), api.submit(model="beta")]
    listed = {job["job_id"]: job["queue_position"] for job in api.get("/api/llm/jobs/").get_json()["jobs"]}
    assert [listed[job_id] for job_id in made] == [1, 0, 0]


def test_a_list_costs_as_many_queries_whatever_its_length(api: Api) -> None:
    """The number of queries does not grow with the page."""
    statements: list[str] = []
    counts = []
    for _ in range(2):
        for _ in range(5):
            api.complete(api.submit())
            api.submit()
        statements.clear()
        with statements_heard(lambda _cursor, statement, _parameters: statements.append(statement)):
            api.get("/api/llm/jobs/")
        counts.append(len(statements))
    assert statements
    assert counts[0] == counts[1]


@pytest.mark.parametrize(
    "path", ["/api/llm/jobs", "/api/llm/models", "/api/health", "/healthz", "/api/openapi.json"]
)
def test_the_last_slash_makes_no_difference_to_get(api: Api, path: str) -> None:
    """GET and HEAD answer alike with and without the last slash."""
    assert api.get(path).data == api.get(f"{path}/").data
    for form in (path, f"{path}/"):
        assert (api.get(form).status_code, api.request("HEAD", form).status_code) == (200, 200)


@pytest.mark.parametrize("slash", ["", "/"])
def test_the_last_slash_makes_no_difference_to_post(api: Api, slash: str) -> None:
    """POST works with and without the last slash, and is never redirected."""
    body = {"prompt": "x", "model": "alpha"}
    answer = api.post(f"/api/llm/jobs/submit{slash}", json=body)
    assert answer.status_code == 202
    job = f"/api/llm/jobs/{answer.get_json()['job_id']}"
    for part in ("", "/status", "/events"):
        assert api.request("HEAD", f"{job}{part}{slash}").status_code == 200
    assert api.post(f"{job}/cancel{slash}").status_code == 202
    assert api.post(f"/api/ollama_models/query{slash}", json=body).status_code == 202


def test_the_plain_way(api: Api) -> None:
    """A prompt in, a job id out; pending, then done with its text."""
    answer = api.post("/api/ollama_models/query", json={"prompt": "Why?", "model": "alpha"})
    assert (answer.status_code, list(answer.get_json())) == (202, ["job_id"])
    path = f"/api/ollama_models/job_status?job_id={answer.get_json()['job_id']}"
    assert api.get(path).get_json() == {"state": "pending"}
    api.complete(answer.get_json()["job_id"])
    assert api.get(path).get_json() == {"state": "done", "data": "It scatters."}


def test_the_plain_way_to_fail(api: Api) -> None:
    """Failed and cancelled jobs are failed, with the reason."""
    failed, cancelled = api.submit(), api.submit()
    api.fail(failed)
    api.post(f"/api/llm/jobs/{cancelled}/cancel/")
    path = "/api/ollama_models/job_status?job_id="
    assert api.get(path + failed).get_json() == {"state": "failed", "error": "It broke."}
    assert api.get(path + cancelled).get_json() == {"state": "failed", "error": "The job was cancelled."}


def test_a_strangers_job_looks_pending(api: Api) -> None:
    """An unknown id and a stranger's are pending, so that nobody learns which exist."""
    job_id = api.submit(key=api.keys.create("stranger"))
    for asked in (job_id, "unknown"):
        answer = api.get(f"/api/ollama_models/job_status?job_id={asked}")
        assert (answer.status_code, answer.get_json()) == (200, {"state": "pending"})
