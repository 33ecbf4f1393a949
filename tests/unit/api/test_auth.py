"""Who is let in: keys, and without them only this machine."""

from base64 import b64encode
from collections.abc import Callable

import pytest

from tests.unit.api.conftest import Api

JOBS = "/api/llm/jobs/"


def test_without_a_key(api: Api) -> None:
    """No key gets 401, and how to send one."""
    answer = api.client.get(JOBS)
    assert (answer.status_code, answer.get_json()["code"]) == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "value",
    [
        "Bearer",
        "Bearer pdk_wrong",
        "Basic",
        "Basic ???",
        "Digest x=1",
        "Bearer \u00fc\u00ff",
        "pdk_wrong",
        "",
    ],
)
def test_with_a_wrong_key(api: Api, value: str) -> None:
    """Whatever is not a valid key gets 401, never a 500."""
    assert api.client.get(JOBS, headers={"Authorization": value}).status_code == 401


def test_basic_with_the_key_as_password(api: Api) -> None:
    """Tools that know only name and password send the key as password."""
    credentials = b64encode(f"anyone:{api.key}".encode()).decode()
    assert api.client.get(JOBS, headers={"Authorization": f"Basic {credentials}"}).status_code == 200


def test_a_revoked_key_is_refused_at_once(api: Api) -> None:
    """A key that was revoked gets 401 from the next request on."""
    assert api.get(JOBS).status_code == 200
    api.keys.revoke("tester")
    assert api.get(JOBS).status_code == 401


@pytest.mark.parametrize("path", ["/", "/healthz", "/api/openapi.json"])
def test_what_needs_no_key(api: Api, path: str) -> None:
    """A few paths are open to all."""
    assert api.client.get(path).status_code == 200


def test_an_admin_sees_and_cancels_any_job(api: Api) -> None:
    """An admin's key reaches everybody's jobs."""
    job_id, admin = api.submit(), api.keys.create("root", "admin")
    assert api.get(f"{JOBS}{job_id}/", key=admin).status_code == 200
    assert api.post(f"{JOBS}{job_id}/cancel/", key=admin).status_code == 202


def test_keys_switched_off(make_api: Callable[..., Api]) -> None:
    """Without keys, whoever reaches this machine's own name is let in and sees all."""
    api = make_api(auth="off")
    for host in ("localhost:8000", "127.0.0.1:8000", "[::1]:8000", "paddock.localhost"):
        assert api.client.get(JOBS, headers={"Host": host}).status_code == 200
    answer = api.client.post(f"{JOBS}submit/", json={"prompt": "x", "model": "alpha"})
    assert api.client.get(answer.headers["Location"]).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "localhost.evil.example"},
        {"Host": "192.168.1.7:8000"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost.evil.example"},
    ],
)
def test_foreign_requests_with_keys_off(make_api: Callable[..., Api], headers: dict[str, str]) -> None:
    """With keys off, another machine's name or page gets 403 on every path."""
    api = make_api(auth="off")
    for path in (JOBS, "/", "/nothing"):
        answer = api.client.get(path, headers=headers)
        assert (answer.status_code, answer.get_json()["code"]) == (403, "foreign_request")
    ollama, openai = (
        api.client.post(path, json={"messages": []}, headers=headers)
        for path in ("/api/chat", "/v1/chat/completions")
    )
    assert (ollama.status_code, openai.status_code) == (403, 403)
    assert "another machine" in ollama.get_json()["error"]
    assert openai.get_json()["error"]["code"] == "foreign_request"


def test_own_pages_with_keys_off(make_api: Callable[..., Api]) -> None:
    """With keys off, a page of this machine may ask."""
    api = make_api(auth="off")
    assert api.client.get(JOBS, headers={"Origin": "http://localhost:3000"}).status_code == 200


def test_a_foreign_host_with_a_key(api: Api) -> None:
    """With keys required, any name of the server will do."""
    assert api.get(JOBS, headers={"Host": "paddock.example"}).status_code == 200
