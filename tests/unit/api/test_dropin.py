"""Requests to Ollama's and OpenAI's routes: what becomes a job, what is refused and how, and what is told."""

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from jobs.errors import QueueFull
from jobs.inventories import Inventory, publish_inventory
from jobs.key_limits import KeyLimits
from jobs.models import Job
from jobs.records import Failure, Outcome
from jobs.workers import InstalledModel
from tasks import resources
from tasks.job_task import JobTask
from tests.integration.system import eventually
from tests.unit.api.conftest import Api

CHAT = {"model": "alpha", "messages": [{"role": "user", "content": "Why?"}]}
GENERATE = {"model": "alpha", "prompt": "Why?", "stream": False}
ASYNC = {"Prefer": "respond-async"}
DIGEST = "sha256:" + "0" * 64


def _jobs(api: Api) -> list[Job]:
    with api.database.reading() as session:
        return list(session.query(Job).order_by(Job.id))


def _answer(api: Api, path: str, body: dict[str, Any], work: Callable[[str], None]) -> Any:
    """The answer to a request whose job `work` brings to its end meanwhile."""
    found: list[Any] = []
    asking = threading.Thread(target=lambda: found.append(api.post(path, json=body)), daemon=True)
    asking.start()
    (job,) = eventually(lambda: _jobs(api))
    work(job.id)
    asking.join(10)
    return found[0]


def test_a_request_that_is_answered_later_is_a_job(api: Api) -> None:
    """202, named in a header, with all it was sent."""
    answer = api.post("/api/chat", json={**CHAT, "novelty": 1}, headers={**ASYNC, "X-Priority": "high"})
    assert answer.status_code == 202
    assert answer.headers["Preference-Applied"] == "respond-async"
    job = answer.get_json()
    assert (answer.headers["X-Job-ID"], answer.headers["X-Priority"]) == (job["job_id"], "2")
    assert (job["kind"], job["priority"], job["model"]) == ("chat", 2, "alpha")
    whole = api.get(f"/api/llm/jobs/{job['job_id']}/").get_json()
    assert whole["input"]["body"] == {**CHAT, "novelty": 1}
    assert whole["input"]["wire"] == {"path": "/api/chat", "is_streamed": False, "is_live": False}


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/api/generate/", "generate"),
        ("/api/embed", "embed"),
        ("/api/embeddings", "embed"),
        ("/v1/chat/completions/", "chat"),
        ("/v1/completions", "generate"),
        ("/v1/embeddings", "embed"),
    ],
)
def test_every_route_makes_a_job_of_its_kind(api: Api, path: str, kind: str) -> None:
    """With and without the last slash."""
    answer = api.post(path, json={"model": "alpha"}, headers=ASYNC)
    assert (answer.status_code, answer.get_json()["kind"]) == (202, kind)


def test_an_answer_comes_from_the_row(api: Api) -> None:
    """In the words of its route."""
    outcome = Outcome({"model": "alpha", "response": None, "done": True}, "Because.", 1.0)
    answer = _answer(api, "/api/generate", GENERATE, lambda job_id: api.complete(job_id, outcome))
    assert answer.status_code == 200
    assert answer.get_json() == {"model": "alpha", "response": "Because.", "done": True}
    assert answer.headers["X-Job-ID"] == _jobs(api)[0].id


@pytest.mark.parametrize(
    ("path", "code", "status"),
    [
        ("/api/generate", "bad_request", 400),
        ("/v1/completions", "first_token_timeout", 504),
        ("/v1/completions", "ollama_error", 500),
    ],
)
def test_a_failed_job_is_an_error(api: Api, path: str, code: str, status: int) -> None:
    """Of the status that its code has, should the event with Ollama's own words be lost."""

    def fail(job_id: str) -> None:
        api.service.fail_attempt(api.claim(job_id), Failure(code, "It broke."), worker="w1")

    answer = _answer(api, path, GENERATE, fail)
    assert answer.status_code == status
    error = answer.get_json()["error"]
    assert (error if path.startswith("/api") else error["message"]) == "It broke."
    assert ("X-Should-Retry" in answer.headers) == (status >= 500)


def test_a_request_that_is_repeated_gets_the_same_answer(api: Api) -> None:
    """From the row, and it is said; with another body it is refused in the route's own words."""
    outcome = Outcome({"model": "alpha", "response": None, "done": True}, "Because.", 1.0)
    once = {"Idempotency-Key": "a"}
    first = api.post("/api/generate", json=GENERATE, headers={**once, **ASYNC})
    job_id = first.get_json()["job_id"]
    api.complete(job_id, outcome)
    later = api.post("/api/generate", json=GENERATE, headers={**once, **ASYNC})
    assert (first.status_code, later.status_code) == (202, 200)
    assert (later.get_json()["job_id"], later.headers["Idempotent-Replayed"]) == (job_id, "true")
    other = api.post("/api/generate", json={**GENERATE, "prompt": "What?"}, headers=once)
    assert other.status_code == 400
    assert "Idempotency-Key" in other.get_json()["error"]


@pytest.mark.parametrize(
    ("headers", "durable"),
    [
        ({}, False),
        ({"X-On-Disconnect": "continue"}, True),
        ({"Idempotency-Key": "a"}, True),
        (ASYNC, True),
    ],
)
def test_what_must_be_on_the_disk(
    api: Api, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str], durable: bool
) -> None:
    """All jobs but one that ends with its client, and so with the machine that the client is connected to."""
    asked: list[bool] = []

    def submit(*_: Any, durable: bool = True, **__: Any) -> Any:
        asked.append(durable)
        raise QueueFull("full")

    monkeypatch.setattr(JobTask, "submit", submit)
    assert api.post("/api/generate", json=GENERATE, headers=headers).status_code == 503
    assert asked == [durable]


def test_a_stream_that_ends_before_it_begins_has_a_status(api: Api) -> None:
    """Cancelled from elsewhere: no client's own retry makes another job of it."""
    answer = _answer(api, "/api/chat", CHAT, api.service.cancel)
    assert (answer.status_code, answer.get_json()) == (499, {"error": "The job was cancelled."})


def test_openai_s_client_is_told_that_its_job_was_cancelled(api: Api) -> None:
    """By the code that the job's own routes have for it."""
    answer = _answer(api, "/v1/chat/completions", CHAT, api.service.cancel)
    job = api.get(f"/api/llm/jobs/{answer.headers['X-Job-ID']}/result/")
    assert answer.status_code == 499
    assert answer.get_json()["error"]["code"] == job.get_json()["code"] == "job_cancelled"


def test_a_stream_without_events_is_one_line(api: Api) -> None:
    """Redis was away."""
    outcome = Outcome({"model": "alpha", "message": None, "done": True}, {"content": "Hm."}, 1.0)
    answer = _answer(api, "/api/chat", CHAT, lambda job_id: api.complete(job_id, outcome))
    assert answer.mimetype == "application/x-ndjson"
    assert answer.headers["X-Accel-Buffering"] == "no"
    assert json.loads(answer.text) == {"model": "alpha", "message": {"content": "Hm."}, "done": True}


@pytest.mark.parametrize(
    ("data", "status", "words"),
    [
        (b"", 400, "missing request body"),
        (b"{", 400, "not valid JSON"),
        (b"[1]", 400, "cannot unmarshal array into Go value"),
        (b'{"model": 3}', 400, "cannot unmarshal number into Go struct field GenerateRequest.model"),
        (b'{"model": "a b"}', 400, "invalid model name"),
        (b'{"model": "../etc"}', 400, "invalid model name"),
        (b'{"model": "a", "stream": "no"}', 400, "GenerateRequest.stream of type bool"),
        (b'{"model": "a", "options": {"num_predict": 0}}', 400, "never ends"),
        (b'{"a":' * 10_000, 400, "nested"),
        (b"[" * 10_000 + b"]" * 10_000, 400, "nested"),
        (b'{"model": "nosuch", "prompt": "x"}', 404, "model 'nosuch' not found"),
    ],
)
def test_what_can_t_be_a_job_is_refused(
    api: Api, report: Callable[..., None], data: bytes, status: int, words: str
) -> None:
    """In Ollama's shape, and nothing is written."""
    report(InstalledModel("a"))
    answer = api.post("/api/generate", data=data)
    assert answer.status_code == status
    assert words in answer.get_json()["error"]
    assert _jobs(api) == []


@pytest.mark.parametrize("body", [{"max_tokens": 0}, {"max_completion_tokens": 0}])
def test_openai_s_words_for_no_limit_are_refused_too(api: Api, body: dict[str, Any]) -> None:
    """In OpenAI's shape."""
    answer = api.post("/v1/chat/completions", json=CHAT | body)
    error = answer.get_json()["error"]
    assert (answer.status_code, error["type"], error["code"]) == (400, "invalid_request_error", "wrong_field")


@pytest.mark.parametrize(
    "headers", [{"X-Priority": "12"}, {"X-Priority": "soon"}, {"X-On-Disconnect": "explode"}]
)
def test_a_header_that_can_t_be_is_refused(api: Api, headers: dict[str, str]) -> None:
    """By name."""
    answer = api.post("/api/chat", json=CHAT, headers=headers)
    assert answer.status_code == 400
    assert next(iter(headers)) in answer.get_json()["error"]


@pytest.mark.parametrize(
    ("key_s", "header", "is_live"),
    [
        (None, None, True),
        ("continue", None, False),
        ("continue", "cancel", True),
        ("cancel", "continue", False),
    ],
)
def test_the_nearest_word_on_leaving_counts(api: Api, key_s: Any, header: str | None, is_live: bool) -> None:
    """The header's, the key's, the setting's."""
    key = api.keys.issue("k", limits=KeyLimits(on_disconnect=key_s)).secret
    headers = {"X-On-Disconnect": header} if header else {}
    threading.Thread(
        target=lambda: api.post("/api/chat", json=CHAT, key=key, headers=headers), daemon=True
    ).start()
    (job,) = eventually(lambda: _jobs(api))
    answered = api.get(f"/api/llm/jobs/{job.id}/", key=key).get_json()
    assert answered["input"]["wire"]["is_live"] is is_live
    api.service.cancel(job.id)


@pytest.mark.parametrize("key_s", [None, "cancel"])
def test_the_setting_is_the_last_word_on_leaving(make_api: Callable[..., Api], key_s: Any) -> None:
    """For a key that says nothing itself."""
    api = make_api(on_disconnect="continue")
    key = api.keys.issue("k", limits=KeyLimits(on_disconnect=key_s)).secret
    answered = threading.Thread(target=lambda: api.post("/api/chat", json=CHAT, key=key), daemon=True)
    answered.start()
    (job,) = eventually(lambda: _jobs(api))
    wire = api.get(f"/api/llm/jobs/{job.id}/", key=key).get_json()["input"]["wire"]
    assert wire["is_live"] is (key_s == "cancel")
    api.service.cancel(job.id)


def test_a_priority_above_the_ceiling_is_lowered_and_said(api: Api) -> None:
    """In the answer's header."""
    key = api.keys.issue("k", limits=KeyLimits(priority_ceiling=7)).secret
    answer = api.post("/api/chat", json=CHAT, key=key, headers={**ASYNC, "X-Priority": "0"})
    assert (answer.headers["X-Priority"], answer.get_json()["priority"]) == ("7", 7)


def test_a_model_that_the_key_may_not_use_is_refused(api: Api) -> None:
    """And not listed either."""
    key = api.keys.issue("k", limits=KeyLimits(allowed_models=["beta"])).secret
    answer = api.post("/v1/chat/completions", json=CHAT, key=key)
    assert (answer.status_code, answer.get_json()["error"]["type"]) == (403, "permission_error")
    assert api.post("/api/show", json={"model": "alpha"}, key=key).status_code == 403


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/chat", 405),
        ("POST", "/api/tags", 405),
        ("GET", "/api/nosuch", 404),
        ("POST", "/api/blobs", 404),
        ("GET", "/api/status", 404),
    ],
)
def test_what_ollama_does_not_have_is_plain_text(api: Api, method: str, path: str, status: int) -> None:
    """As Ollama answers it."""
    answer = api.request(method, path)
    assert (answer.status_code, answer.mimetype) == (status, "text/plain")
    assert answer.text == ("405 method not allowed" if status == 405 else "404 page not found")


def test_what_openai_does_not_have_is_an_error_of_openai_s(api: Api) -> None:
    """Wrong key first."""
    assert api.post("/v1/responses", json={}).get_json()["error"]["code"] == "route_not_found"
    refused = api.post("/v1/chat/completions", json=CHAT, key="wrong")
    assert refused.status_code == 401
    assert refused.get_json()["error"]["type"] == "authentication_error"
    assert refused.headers["WWW-Authenticate"]


class TestLists:
    """What workers' Ollamas have."""

    @pytest.fixture(autouse=True)
    def two_workers(self, api: Api, report: Callable[..., None]) -> None:
        report(InstalledModel("alpha"), name="w1", ollama_version="0.24.0")
        report(InstalledModel("me/beta"), name="w2", ollama_version="0.9.1-rc1")
        client = resources.get_resources().redis
        alpha = {"name": "alpha:latest", "modified_at": "2026-03-01T12:00:00Z"}
        beta = {"name": "me/beta:latest", "modified_at": "?"}
        publish_inventory(client, "w1", Inventory([alpha], [alpha]))
        publish_inventory(client, "w2", Inventory([beta], []))

    def test_all_workers_models_are_listed(self, api: Api) -> None:
        """In Ollama's words and in OpenAI's."""
        names = [model["name"] for model in api.get("/api/tags").get_json()["models"]]
        assert names == ["me/beta:latest", "alpha:latest"]
        assert [model["name"] for model in api.get("/api/ps").get_json()["models"]] == ["alpha:latest"]
        found = api.get("/v1/models").get_json()["data"]
        assert [(model["id"], model["owned_by"], model["created"]) for model in found] == [
            ("me/beta:latest", "me", 0),
            ("alpha:latest", "library", 1772366400),
        ]

    def test_a_key_sees_its_models(self, api: Api) -> None:
        """And no others."""
        key = api.keys.issue("k", limits=KeyLimits(allowed_models=["alpha"])).secret
        assert len(api.get("/api/tags", key=key).get_json()["models"]) == 1
        assert api.get("/v1/models/me/beta", key=key).status_code == 404

    def test_one_model_is_found_by_any_spelling(self, api: Api) -> None:
        """Slashes, encoded or not, are part of a name; `..` is none."""
        for name in ("me/beta", "me%2Fbeta", "ME/beta:latest"):
            assert api.get(f"/v1/models/{name}").status_code == 200
        for name in ("nosuch", "..%2F..%2Fetc", "a/../alpha", "%00"):
            assert api.get(f"/v1/models/{name}").status_code == 404

    def test_the_version_is_the_oldest(self, api: Api) -> None:
        """Also without a key; a client must not count on more."""
        assert api.client.get("/api/version").get_json() == {"version": "0.9.1-rc1"}

    def test_showing_needs_a_model_that_is_there(self, api: Api) -> None:
        """404 in Ollama's words, 400 without any."""
        assert api.post("/api/show", json={}).get_json() == {"error": "model is required"}
        for name in ("nosuch", "a b"):
            assert api.post("/api/show", json={"name": name}).status_code == 404

    def test_an_ollama_on_another_machine_s_loopback_is_not_asked(
        self, api: Api, report: Callable[..., None]
    ) -> None:
        """Its address would be another one here."""
        report(InstalledModel("gamma"), name="w3", ollama_url="http://127.0.0.1:11434")
        resources.get_resources().catalog._read_at = float("-inf")
        answer = api.post("/api/show", json={"model": "gamma"})
        assert answer.status_code == 502
        assert "its own machine alone" in answer.get_json()["error"]

    def test_administration_is_for_admins_and_names_its_worker(self, api: Api) -> None:
        """403, 404, and 502 where nothing listens."""
        admin = api.keys.create("admin", role="admin")
        assert api.post("/api/pull", json={"model": "x"}).status_code == 403
        unnamed = api.post("/api/pull", json={"model": "x"}, key=admin)
        assert unnamed.status_code == 404 and "w1, w2" in unnamed.get_json()["error"]
        headers = {"X-Paddock-Worker": "w9"}
        assert api.post("/api/copy", json={}, key=admin, headers=headers).status_code == 404
        assert api.request("DELETE", "/api/delete?worker=w1", json={}, key=admin).status_code == 502

    def test_a_registry_s_address_is_part_of_a_name(self, api: Api) -> None:
        """With its protocol too, as Ollama reads it: 502 is beyond the check."""
        admin = api.keys.create("admin", role="admin")
        for name in ("hf.co/me/alpha-GGUF:Q4_K_M", "http://registry.local:5000/me/alpha", "../alpha"):
            answer = api.post("/api/pull?worker=w1", json={"model": name}, key=admin)
            assert answer.status_code == (400 if ".." in name else 502)

    @pytest.mark.parametrize("digest", ["..", "sha256:1", f"{DIGEST}x"])
    def test_a_blob_has_a_digest_for_a_name(self, api: Api, digest: str) -> None:
        """And nothing else reaches Ollama's path."""
        admin = api.keys.create("admin", role="admin")
        assert api.request("HEAD", f"/api/blobs/{digest}?worker=w1", key=admin).status_code == 400
        answer = api.post(f"/api/blobs/{DIGEST}?worker=w1", data=b"x", key=admin)
        assert answer.status_code == 502


def test_without_workers_there_is_no_version(api: Api) -> None:
    """503, to be asked again."""
    answer = api.client.get("/api/version")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert api.post("/api/show", json={"model": "alpha"}).status_code == 503
