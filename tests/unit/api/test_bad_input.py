"""What is refused, with what status and code; nothing refused leaves a trace."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.test import TestResponse

from jobs.workers import InstalledModel
from tests.unit.api.conftest import Api

SUBMIT = "/api/llm/jobs/submit/"
SECRET = "a-prompt-nobody-may-see"
UNKNOWN_ID = "01890a5d-ac96-774b-bcce-b302099a8057"


def assert_problem(answer: TestResponse, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/problem+json"
    body: dict[str, Any] = answer.get_json()
    assert {"type", "title", "status", "detail", "code", "request_id"} <= body.keys()
    assert (body["status"], body["code"], body["type"]) == (status, code, f"urn:paddock:error:{code}")
    assert body["request_id"] == answer.headers["X-Request-ID"]
    return body


def count_jobs(api: Api) -> int:
    return len(api.get("/api/llm/jobs/").get_json()["jobs"])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": None}, "body"),
        ({"prompt": 3}, "prompt"),
        ({"prompt": SECRET, "messages": [{"role": "user", "content": "x"}]}, "body"),
        ({"prompt": SECRET, "kind": "poem"}, "kind"),
        ({"prompt": SECRET, "kind": "chat"}, "body"),
        ({"prompt": SECRET, "priority": 10}, "priority"),
        ({"prompt": SECRET, "priority": "soon"}, "priority"),
        ({"prompt": SECRET, "priority": True}, "priority"),
        ({"prompt": SECRET, "priority": 1.5}, "priority"),
        ({"prompt": SECRET, "priority": 10**30}, "priority"),
        ({"prompt": SECRET, "model": "no/such model"}, "model"),
        ({"prompt": SECRET, "promt": "a slip"}, "promt"),
        ({"prompt": SECRET, "timeout_seconds": -1}, "timeout_seconds"),
        ({"prompt": SECRET, "timeout_seconds": 10**400}, "timeout_seconds"),
        ({"prompt": SECRET, "metadata": {"a": 1}}, "metadata.a"),
        ({"prompt": SECRET, "options": {"num_predict": 0}}, "body"),
        ({"messages": []}, "messages"),
        ({"messages": [{"content": SECRET}]}, "messages.0.role"),
        ({"input": []}, "input"),
        ([], "body"),
        ("text", "body"),
        (None, "body"),
    ],
)
def test_a_wrong_value_is_named_by_its_field(api: Api, body: Any, field: str) -> None:
    """A value that is not allowed gets 422 with its field's name, and no job is made."""
    answer = api.post(SUBMIT, data=json.dumps(body), content_type="application/json")
    problem = assert_problem(answer, 422, "invalid_request")
    assert field in problem["errors"]
    assert SECRET not in answer.text
    assert count_jobs(api) == 0


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b'{"prompt": "x",}',
        b'{"prompt": "x", "timeout_seconds": NaN}',
        b'{"prompt": "x", "options": {"temperature": Infinity}}',
        b'{"prompt": "x", "options": {"temperature": 1e999}}',
        b'{"prompt": "x", "options": {"seed": ' + b"9" * 5000 + b"}}",
        b'{"prompt": "\xff\xfe"}',
        b"[" * 10_000 + b"]" * 10_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b'{"prompt": "x", "format": ' + b'{"a":' * 150 + b"1" + b"}" * 151,
    ],
)
def test_what_is_not_json_is_refused(api: Api, data: bytes) -> None:
    """Broken, endless and bottomless JSON gets 400, never a 500."""
    answer = api.post(SUBMIT, data=data, content_type="application/json")
    assert_problem(answer, 400, "broken_json")
    assert count_jobs(api) == 0


@pytest.mark.parametrize(
    "body",
    [
        '{"prompt": "half a pair \\ud800"}',
        '{"prompt": "x", "options": {"stop": "\\udfff"}}',
        '{"prompt": "x", "metadata": {"\\ud800": "a"}}',
        '{"prompt": "x", "metadata": {"a": "\\ud800"}}',
        '{"prompt": "x", "\\ud800": 1}',
        '{"prompt": "x", "model": "\\ud800"}',
        '{"messages": [{"role": "user", "content": "x", "extra": "\\ud800"}]}',
    ],
)
def test_half_a_surrogate_pair_is_no_server_error(api: Api, body: str) -> None:
    """Text that is no Unicode is refused by its field, or kept as it came."""
    answer = api.post(SUBMIT, data=body, content_type="application/json")
    assert answer.status_code in (202, 422), answer.text
    if answer.status_code == 202:
        assert api.get(answer.headers["Location"]).status_code == 200


def test_nul_in_a_prompt_is_kept(api: Api) -> None:
    """A NUL is a character like another."""
    job_id = api.submit(prompt="a\0b", metadata={"k": "\0"})
    assert api.get(f"/api/llm/jobs/{job_id}/").get_json()["input"]["prompt"] == "a\0b"


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "text/plain"])
def test_another_content_type_is_told_what_is_expected(api: Api, content_type: str) -> None:
    """What curl -d sends unless told otherwise gets 415 and the header that it needs."""
    answer = api.post(SUBMIT, data='{"prompt": "x"}', content_type=content_type)
    assert "application/json" in assert_problem(answer, 415, "unsupported_media_type")["detail"]


@pytest.mark.parametrize("content_type", [None, "application/json; charset=utf-8", "application/vnd.x+json"])
def test_json_by_another_name_is_taken(api: Api, content_type: str | None) -> None:
    """A body without a content type, or with one that is JSON too, is read as JSON."""
    answer = api.post(SUBMIT, data='{"prompt": "x", "model": "alpha"}', content_type=content_type)
    assert answer.status_code == 202, answer.text


def test_a_body_over_the_limit_is_refused(make_api: Callable[..., Api]) -> None:
    """A body larger than the setting allows gets 413."""
    api = make_api(max_body_bytes=2048)
    answer = api.post(SUBMIT, json={"prompt": "x" * 3000})
    assert_problem(answer, 413, "body_too_large")
    assert count_jobs(api) == 0


def test_a_model_that_nobody_has_names_the_installed_ones(api: Api, report: Callable[..., None]) -> None:
    """While workers live, an unknown model gets 404 and the list of those that there are."""
    report(InstalledModel("alpha"), InstalledModel("beta"))
    answer = api.post(SUBMIT, json={"prompt": SECRET, "model": "gamma"})
    problem = assert_problem(answer, 404, "model_not_found")
    assert "alpha" in problem["detail"]
    assert "beta" in problem["detail"]
    assert count_jobs(api) == 0


def test_without_a_worker_any_model_is_accepted(api: Api) -> None:
    """With no worker alive, a job waits for one that has its model."""
    assert api.get(f"/api/llm/jobs/{api.submit(model='gamma')}/").get_json()["status"] == "pending"


def test_no_model_at_all(api: Api) -> None:
    """A request that names no model, where none is known, gets 422."""
    assert_problem(api.post(SUBMIT, json={"prompt": "x"}), 422, "no_model")


@pytest.mark.parametrize(
    "job_id", [UNKNOWN_ID, "x", "%00", "a%00b", "%ff", "%F0%9F%98%80", "x" * 2000, "a%0Ab"]
)
@pytest.mark.parametrize("part", ["", "status/", "result/", "events/"])
def test_an_unknown_id_is_not_found(api: Api, job_id: str, part: str) -> None:
    """Whatever is no job's id gets 404 in every route."""
    assert_problem(api.get(f"/api/llm/jobs/{job_id}/{part}"), 404, "job_not_found")


def test_an_unknown_job_can_not_be_cancelled(api: Api) -> None:
    """Cancelling what is not there gets 404."""
    assert_problem(api.post(f"/api/llm/jobs/{UNKNOWN_ID}/cancel/"), 404, "job_not_found")


@pytest.mark.parametrize(
    ("method", "part"),
    [("GET", ""), ("GET", "status/"), ("GET", "result/"), ("GET", "events/"), ("POST", "cancel/")],
)
def test_another_keys_job_is_as_unknown_as_none(api: Api, method: str, part: str) -> None:
    """A stranger's job gets 404 in every route, and stays as it was."""
    job_id = api.submit()
    stranger = api.keys.create("stranger")
    assert_problem(api.request(method, f"/api/llm/jobs/{job_id}/{part}", key=stranger), 404, "job_not_found")
    assert api.get(f"/api/llm/jobs/{job_id}/").get_json()["status"] == "pending"


def test_a_result_too_early(api: Api) -> None:
    """The result of a job that still runs gets 409, which says so."""
    answer = api.get(f"/api/llm/jobs/{api.submit()}/result/")
    assert "pending" in assert_problem(answer, 409, "not_completed")["detail"]


def test_the_result_of_a_failed_job(api: Api) -> None:
    """The result of a failed job gets 409 with its reason."""
    job_id = api.submit()
    api.fail(job_id)
    assert (
        "It broke." in assert_problem(api.get(f"/api/llm/jobs/{job_id}/result/"), 409, "job_failed")["detail"]
    )


def test_the_result_of_a_cancelled_job(api: Api) -> None:
    """The result of a cancelled job gets 409 with a code of its own."""
    job_id = api.submit()
    api.post(f"/api/llm/jobs/{job_id}/cancel/")
    assert_problem(api.get(f"/api/llm/jobs/{job_id}/result/"), 409, "job_cancelled")


def test_a_second_cancel(api: Api) -> None:
    """Cancelling twice gets 202 and then 409."""
    job_id = api.submit()
    assert api.post(f"/api/llm/jobs/{job_id}/cancel/").status_code == 202
    assert_problem(api.post(f"/api/llm/jobs/{job_id}/cancel/"), 409, "already_complete")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("?limit=0", "limit"),
        ("?limit=201", "limit"),
        ("?limit=x", "limit"),
        ("?status=lost", "status"),
        ("?kind=poem", "kind"),
        ("?stauts=failed", "stauts"),
        ("?model=a b", "model"),
    ],
)
def test_a_wrong_parameter_of_the_list(api: Api, query: str, field: str) -> None:
    """A list's parameter that is not allowed, or not known, gets 422 by its name."""
    assert field in assert_problem(api.get(f"/api/llm/jobs/{query}"), 422, "invalid_request")["errors"]


@pytest.mark.parametrize("cursor", ["x", "%00", "bnVsbA", "WyJ4IiwgInkiXQ"])
def test_a_cursor_that_is_none_of_ours(api: Api, cursor: str) -> None:
    """A made-up cursor gets 422."""
    assert_problem(api.get(f"/api/llm/jobs/?cursor={cursor}"), 422, "invalid_request")


@pytest.mark.parametrize("wait", ["-1", "61", "x", "nan", "inf"])
def test_a_wait_out_of_range(api: Api, wait: str) -> None:
    """A wait is 0 to 60 seconds."""
    answer = api.get(f"/api/llm/jobs/{api.submit()}/status/?wait={wait}")
    assert "wait" in assert_problem(answer, 422, "invalid_request")["errors"]


@pytest.mark.parametrize("last", ["x", "1-2-3", "-1", "99999999999999999999", "1" * 400])
def test_an_event_id_that_is_none(api: Api, last: str) -> None:
    """A Last-Event-ID that is no id of an event gets 422."""
    path = f"/api/llm/jobs/{api.submit()}/events/"
    for answer in (api.get(path, headers={"Last-Event-ID": last}), api.get(f"{path}?last_event_id={last}")):
        assert "last_event_id" in assert_problem(answer, 422, "invalid_request")["errors"]


def test_the_state_of_no_job(api: Api) -> None:
    """job_status without job_id gets 400."""
    assert_problem(api.get("/api/ollama_models/job_status"), 400, "missing_parameter")


def test_an_unknown_route(api: Api) -> None:
    """A path with nothing at it gets 404 as a problem, key or not."""
    assert_problem(api.get("/api/llm/nothing/"), 404, "route_not_found")
    assert_problem(api.client.get("/nothing"), 404, "route_not_found")


def test_a_method_that_a_route_does_not_take(api: Api) -> None:
    """405 names the methods that the route takes."""
    answer = api.get(SUBMIT)
    assert answer.status_code in (404, 405)
    answer = api.request("DELETE", "/api/llm/jobs/")
    assert_problem(answer, 405, "method_not_allowed")
    assert "GET" in answer.headers["Allow"]


def test_a_full_queue(make_api: Callable[..., Api]) -> None:
    """With as many jobs pending as the setting allows, submitting gets 503 and when to try again."""
    api = make_api(max_pending=2)
    api.submit()
    api.submit()
    answer = api.post(SUBMIT, json={"prompt": "x", "model": "alpha"})
    assert_problem(answer, 503, "queue_full")
    assert int(answer.headers["Retry-After"]) >= 1
    assert count_jobs(api) == 2
