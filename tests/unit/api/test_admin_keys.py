"""API keys: what operators make of them, and what they let through."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from werkzeug.test import TestResponse

from jobs.key_limits import KeyLimits
from jobs.key_usage import KeyUsage
from jobs.keys import KeyService
from tasks import resources
from tests.unit.api.conftest import Api
from tests.unit.api.test_bad_input import assert_problem

KEYS = "/api/admin/keys/"
SUBMIT = "/api/llm/jobs/submit/"


@pytest.fixture
def admin(api: Api) -> str:
    """An admin's key."""
    return api.keys.create("root", "admin")


def issue(api: Api, **limits: Any) -> str:
    return api.keys.issue("limited", limits=KeyLimits(**limits)).secret


def ask(api: Api, key: str, **body: Any) -> TestResponse:
    return api.post(SUBMIT, key=key, json={"prompt": "Why?", "model": "alpha", **body})


def test_a_key_is_shown_once(api: Api, admin: str) -> None:
    """Issuing answers 201 with the secret; the list has neither it nor its hash."""
    answer = api.post(KEYS, key=admin, json={"name": "ci", "max_pending": 3})
    assert answer.status_code == 201
    made = answer.get_json()
    assert api.get("/api/llm/jobs/", key=made["key"]).status_code == 200
    listed = api.get(KEYS, key=admin)
    assert made["key"] not in listed.text
    assert "hash" not in listed.text
    shown = next(key for key in listed.get_json()["keys"] if key["key_id"] == made["key_id"])
    assert (shown["role"], shown["max_pending"], shown["is_valid"]) == ("user", 3, True)
    assert made["key"].startswith(shown["prefix"])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "x", "role": "king"}, "role"),
        ({"name": "x", "priority_ceiling": 10}, "priority_ceiling"),
        ({"name": "x", "allowed_models": []}, "allowed_models"),
        ({"name": "x", "allowed_models": ["a b"]}, "allowed_models.0"),
        ({"name": "x", "max_pending": 0}, "max_pending"),
        ({"name": "x", "requests_per_minute": 1.5}, "requests_per_minute"),
        ({"name": "x", "on_disconnect": "maybe"}, "on_disconnect"),
        ({"name": "x", "expires_at": "2030-01-01T00:00:00"}, "expires_at"),
        ({"name": "x", "expires_at": 5}, "expires_at"),
        ({"name": "x", "expires_at": "0001-01-01T00:00:00+14:00"}, "expires_at"),
        ({"name": "x", "max_pendign": 5}, "max_pendign"),
    ],
)
def test_a_wrong_limit_is_named(api: Api, admin: str, body: dict[str, Any], field: str) -> None:
    """A limit that is not possible gets 422 by its name, and no key is made."""
    before = len(api.keys.all())
    problem = assert_problem(api.post(KEYS, key=admin, json=body), 422, "invalid_request")
    assert field in problem["errors"]
    assert len(api.keys.all()) == before


def test_a_name_that_can_not_be_printed(api: Api, admin: str) -> None:
    """A name with control characters gets 422."""
    assert_problem(api.post(KEYS, key=admin, json={"name": "a\nb"}), 422, "invalid_request")


def test_limits_are_changed_one_by_one(api: Api, admin: str) -> None:
    """PATCH sets what is given, null lifts a limit, the rest stays."""
    made = api.post(KEYS, key=admin, json={"name": "ci", "max_pending": 3, "priority_ceiling": "high"})
    path = f"{KEYS}{made.get_json()['key_id']}"
    changes = {"max_pending": None, "allowed_models": ["B:latest", "a"]}
    changed = api.request("PATCH", path, key=admin, json=changes).get_json()
    assert changed["max_pending"] is None
    assert changed["priority_ceiling"] == 2
    assert changed["allowed_models"] == ["a", "b"]
    assert "key" not in changed
    assert api.request("PATCH", path, key=admin, json={}).get_json() == changed
    assert api.request("PATCH", path, key=admin, json={"allowed_models": None}).status_code == 200


@pytest.mark.parametrize(("method", "part"), [("PATCH", ""), ("POST", "/rotate"), ("DELETE", "")])
@pytest.mark.parametrize("key_id", ["nobody", "local"])
def test_an_unknown_key(api: Api, admin: str, method: str, part: str, key_id: str) -> None:
    """A key that is not there, and the one that no secret opens, can't be changed."""
    answer = api.request(method, f"{KEYS}{key_id}{part}", key=admin, json={})
    assert_problem(answer, 404, "key_not_found")


def test_a_rotated_key_has_two_secrets_for_a_while(api: Api, admin: str) -> None:
    """Until the overlap is over both secrets open, and both are the same caller."""
    made = api.post(KEYS, key=admin, json={"name": "ci"}).get_json()
    rotated = api.post(f"{KEYS}{made['key_id']}/rotate", key=admin)
    assert rotated.status_code == 200
    new = rotated.get_json()
    assert new["key"] != made["key"]
    ends_at = datetime.fromisoformat(new["previous_until"])
    assert timedelta(hours=23) < ends_at - datetime.now(UTC) <= timedelta(hours=24)
    job_id = api.submit(key=made["key"])
    assert api.get(f"/api/llm/jobs/{job_id}/", key=new["key"]).status_code == 200
    assert api.keys.verify(made["key"], now=ends_at) is None
    assert api.keys.verify(new["key"], now=ends_at) is not None


def test_rotating_without_overlap_ends_the_old_secret(api: Api, admin: str) -> None:
    """With an overlap of 0 the old secret is invalid at once."""
    made = api.post(KEYS, key=admin, json={"name": "ci"}).get_json()
    new = api.post(f"{KEYS}{made['key_id']}/rotate/", key=admin, json={"overlap_seconds": 0}).get_json()
    assert new["previous_until"] is None
    assert_problem(api.get("/api/llm/jobs/", key=made["key"]), 401, "unauthorized")
    assert api.get("/api/llm/jobs/", key=new["key"]).status_code == 200


@pytest.mark.parametrize("overlap", [-1, "x", 1e9, False])
def test_a_wrong_overlap(api: Api, admin: str, overlap: Any) -> None:
    """An overlap is 0 seconds to 30 days."""
    made = api.post(KEYS, key=admin, json={"name": "ci"}).get_json()
    path = f"{KEYS}{made['key_id']}/rotate"
    answer = api.post(path, key=admin, json={"overlap_seconds": overlap})
    assert "overlap_seconds" in assert_problem(answer, 422, "invalid_request")["errors"]
    assert_problem(api.post(path, key=admin, data="{", content_type="application/json"), 400, "broken_json")


def test_a_second_rotation_ends_the_first_secret(api: Api) -> None:
    """Only the secret before the last rotation is still valid."""
    issued = api.keys.issue("ci")
    second = api.keys.rotate(issued.key.id).secret
    third = api.keys.rotate(issued.key.id).secret
    assert [api.keys.verify(key) is not None for key in (issued.secret, second, third)] == [False, True, True]


def test_a_revoked_key_is_invalid_with_both_secrets(api: Api, admin: str) -> None:
    """Revoking ends a key and its overlap at once; it stays in the list."""
    issued = api.keys.issue("ci")
    second = api.keys.rotate(issued.key.id).secret
    answer = api.request("DELETE", f"{KEYS}{issued.key.id}", key=admin)
    assert (answer.status_code, answer.get_json()["is_valid"]) == (200, False)
    for key in (issued.secret, second):
        assert_problem(api.get("/api/llm/jobs/", key=key), 401, "unauthorized")
    assert_problem(api.request("DELETE", f"{KEYS}{issued.key.id}", key=admin), 404, "key_not_found")
    assert issued.key.id in api.get(KEYS, key=admin).text


def test_an_expired_key(api: Api, admin: str) -> None:
    """From its expiry on a key gets 401 and is listed as invalid."""
    made = api.post(KEYS, key=admin, json={"name": "x", "expires_at": "2020-01-01T01:00:00+01:00"}).get_json()
    assert (made["is_valid"], made["expires_at"]) == (False, "2020-01-01T00:00:00.000000Z")
    assert_problem(api.get("/api/llm/jobs/", key=made["key"]), 401, "unauthorized")


# --- limits at a submit -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "asked", "given"),
    [
        ({}, None, 5),
        ({"default_priority": 7}, None, 7),
        ({"default_priority": 7}, 1, 1),
        ({"priority_ceiling": 5}, 0, 5),
        ({"priority_ceiling": 5}, 9, 9),
        ({"priority_ceiling": 8}, None, 8),
        ({"priority_ceiling": 3, "default_priority": 1}, None, 3),
    ],
)
def test_a_priority_above_the_ceiling_is_lowered(
    api: Api, limits: dict[str, Any], asked: int | None, given: int
) -> None:
    """A more urgent priority is accepted and lowered, and X-Priority says what it became."""
    body = {} if asked is None else {"priority": asked}
    answer = ask(api, issue(api, **limits), **body)
    assert (answer.status_code, answer.get_json()["priority"]) == (202, given)
    assert answer.headers["X-Priority"] == str(given)


def test_a_key_may_use_its_models_only(api: Api) -> None:
    """Another model gets 403, and so does a request whose default model is another."""
    key = issue(api, allowed_models=["alpha"])
    assert ask(api, key, model="ALPHA:latest").status_code == 202
    problem = assert_problem(ask(api, key, model="beta"), 403, "model_not_allowed")
    assert "alpha" in problem["detail"]
    api.request("PUT", "/api/admin/active-model", key=api.keys.create("r", "admin"), json={"model": "beta"})
    answer = api.post(SUBMIT, key=key, json={"prompt": "Why?"})
    assert_problem(answer, 403, "model_not_allowed")


def test_a_key_may_have_so_many_jobs_pending(api: Api) -> None:
    """One more than the limit gets 429 and when to try again; others' jobs don't count."""
    key = issue(api, max_pending=2)
    api.submit()
    jobs = [api.submit(key=key) for _ in range(2)]
    answer = ask(api, key)
    assert_problem(answer, 429, "too_many_pending")
    assert int(answer.headers["Retry-After"]) >= 1
    api.claim(jobs[0])
    assert ask(api, key).status_code == 202


def test_a_key_may_submit_so_many_jobs_a_minute(api: Api) -> None:
    """One more than the limit gets 429; headers say how many are left, and when there is room."""
    key = issue(api, requests_per_minute=2)
    first, second, third = ask(api, key), ask(api, key), ask(api, key)
    assert (first.status_code, second.status_code) == (202, 202)
    assert_problem(third, 429, "too_many_requests")
    assert 1 <= int(third.headers["Retry-After"]) <= 60
    assert first.headers["RateLimit-Policy"] == '"key";q=2;w=60'
    assert first.headers["RateLimit"].startswith('"key";r=1;t=')
    assert third.headers["RateLimit"].startswith('"key";r=0;t=')
    assert ask(api, issue(api, requests_per_minute=2)).status_code == 202
    assert resources.get_resources().redis.keys("paddock:limits*")


def test_without_redis_memory_counts(api: Api) -> None:
    """While Redis is away this process counts by itself."""
    resources.get_resources().__dict__["redis"] = redis.Redis.from_url("unix:///tmp/no-such.sock")
    key = issue(api, requests_per_minute=1)
    assert ask(api, key).status_code == 202
    assert_problem(ask(api, key), 429, "too_many_requests")


def test_a_key_without_limits_has_no_rate(api: Api) -> None:
    """What is not limited is not counted."""
    assert "RateLimit" not in ask(api, api.key).headers


# --- last use ---------------------------------------------------------------------------------------


def last_used(keys: KeyService, key_id: str) -> datetime | None:
    return next(key.last_used_at for key in keys.all() if key.id == key_id)


def test_the_last_use_is_noted_once_a_minute(api: Api) -> None:
    """The first use of a minute is written, the others are not."""
    issued = api.keys.issue("ci")
    usage, elsewhere = KeyUsage(api.database), KeyUsage(api.database)
    start = datetime(2030, 1, 1, tzinfo=UTC)
    for seconds, process, written in [
        (0, usage, 0),
        (59, usage, 0),
        (59, elsewhere, 0),
        (60, usage, 60),
        (61, elsewhere, 60),
    ]:
        caller = api.keys.verify(issued.secret)
        assert caller is not None
        process.note(caller, now=start + timedelta(seconds=seconds))
        assert last_used(api.keys, issued.key.id) == start + timedelta(seconds=written)


def test_a_request_is_a_use(api: Api) -> None:
    """A key that was used says when."""
    issued = api.keys.issue("ci")
    assert last_used(api.keys, issued.key.id) is None
    api.get("/api/llm/jobs/", key=issued.secret)
    used_at = last_used(api.keys, issued.key.id)
    assert used_at is not None
    assert datetime.now(UTC) - used_at < timedelta(minutes=1)
