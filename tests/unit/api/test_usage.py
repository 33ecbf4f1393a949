"""What keys have used, and the limit on tokens."""

from dataclasses import replace
from typing import Any

import pytest

from jobs.instants import utc_now
from jobs.key_limits import KeyLimits
from tests.unit.api.conftest import OUTCOME, Api

USAGE = "/api/admin/keys/usage/"


@pytest.fixture
def admin(api: Api) -> str:
    """An admin's key."""
    return api.keys.create("root", "admin")


def use(api: Api, key: str, prompt: int, output: int | None, *, model: str = "alpha") -> None:
    job_id = api.submit(key=key, model=model)
    api.complete(job_id, replace(OUTCOME, prompt_tokens=prompt, output_tokens=output))


def listed(api: Api, admin: str, query: str = "") -> list[tuple[Any, ...]]:
    found = api.get(USAGE + query, key=admin).get_json()["usage"]
    return [(used["model"], used["jobs"], used["prompt_tokens"], used["output_tokens"]) for used in found]


def test_usage_is_listed_by_key_and_model(api: Api, admin: str) -> None:
    """Those with the most tokens first; what is not known counts as none."""
    other = api.keys.create("other")
    use(api, api.key, 10, 20)
    use(api, api.key, 1, None)
    use(api, api.key, 1, 1, model="beta")
    use(api, other, 100, 200)
    assert listed(api, admin) == [("alpha", 1, 100, 200), ("alpha", 2, 11, 20), ("beta", 1, 1, 1)]
    other_id = api.keys.find_valid("other")
    assert listed(api, admin, f"?key_id={other_id}") == [("alpha", 1, 100, 200)]


def test_only_what_ended_within_the_hours_counts(api: Api, admin: str) -> None:
    """And what has not ended does not."""
    api.submit()
    use(api, api.key, 1, 1)
    assert listed(api, admin, "?hours=0.0000001") == []
    assert len(listed(api, admin, "?hours=1")) == 1


@pytest.mark.parametrize("hours", ["0", "-1", "x", "1e9"])
def test_impossible_hours_are_refused(api: Api, admin: str, hours: str) -> None:
    """By the field's name."""
    answer = api.get(f"{USAGE}?hours={hours}", key=admin)
    assert (answer.status_code, list(answer.get_json()["errors"])) == (422, ["hours"])


def test_usage_is_for_admins(api: Api) -> None:
    """It names other keys."""
    assert api.get(USAGE).status_code == 403


def test_the_command_prints_names(api: Api) -> None:
    """Of the keys, not their ids."""
    use(api, api.key, 10, 20)
    printed = api.app.test_cli_runner().invoke(args=["keys", "usage"]).output
    assert "tester" in printed
    assert "30" not in printed
    assert "20" in printed


def test_a_key_whose_tokens_are_used_up_waits(api: Api) -> None:
    """And is told how long; others don't."""
    key = api.keys.issue("limited", limits=KeyLimits(tokens_per_minute=30)).secret
    body = {"prompt": "Why?", "model": "alpha"}
    use(api, key, 10, 5)
    left = api.post("/api/llm/jobs/submit/", json=body, key=key)
    assert (left.status_code, left.headers["RateLimit-Policy"]) == (202, '"tokens";q=30;w=60')
    assert left.headers["RateLimit"].startswith('"tokens";r=15;t=')
    api.complete(left.get_json()["job_id"], replace(OUTCOME, prompt_tokens=10, output_tokens=5))
    refused = api.post("/api/llm/jobs/submit/", json=body, key=key)
    assert (refused.status_code, refused.get_json()["code"]) == (429, "too_many_requests")
    assert 50 <= int(refused.headers["Retry-After"]) <= 60
    assert api.post("/api/llm/jobs/submit/", json=body).status_code == 202


def test_tokens_of_a_minute_ago_are_forgotten(api: Api) -> None:
    """The window slides."""
    from datetime import timedelta

    from jobs.usage import tokens_used

    use(api, api.key, 10, 5)
    key_id = api.keys.find_valid("tester")
    assert tokens_used(api.database, key_id, seconds=60.0)[0] == 15
    later = utc_now() + timedelta(seconds=61)
    assert tokens_used(api.database, key_id, seconds=60.0, now=later) == (0, 0.0)
