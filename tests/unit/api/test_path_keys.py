"""`/key/<key>/` before a path: the same as the header, and nowhere to be seen."""

import logging
from collections.abc import Callable
from typing import Any

import pytest

from api.path_keys import PathKeys
from tests.unit.api.conftest import Api


@pytest.fixture
def open_api(make_api: Callable[..., Api]) -> Api:
    """An application that takes keys in paths."""
    return make_api(path_keys=True)


def get(api: Api, path: str, **options: Any) -> Any:
    return api.client.get(path, **options)


def test_a_key_in_the_path_is_the_callers(open_api: Api) -> None:
    """With and without the last slash, and a query behind it."""
    for path in ("/api/llm/jobs/", "/api/llm/jobs", "/api/llm/jobs/?limit=1"):
        assert get(open_api, f"/key/{open_api.key}{path}").status_code == 200


def test_it_is_off_by_default(api: Api) -> None:
    """Then it is a path like any other that does not exist."""
    assert get(api, f"/key/{api.key}/api/llm/jobs/").status_code == 404


@pytest.mark.parametrize(
    "path", ["/key/pdk_wrong/api/llm/jobs/", "/key/a%2Fb/api/llm/jobs/", "/key/..%2f/api/llm/jobs/"]
)
def test_a_wrong_key_opens_nothing(open_api: Api, path: str) -> None:
    """Whatever slashes and dots are in it."""
    assert get(open_api, path).status_code in {401, 404}


def test_the_path_behind_it_is_not_taken_apart(open_api: Api) -> None:
    """No way up, no second key."""
    key = open_api.key
    for path in (
        f"/key/{key}/../healthz/..",
        f"/key/{key}/key/{key}/api/llm/jobs/",
        f"/key/{key}/..%2fapi/llm/jobs/",
    ):
        assert get(open_api, path).status_code == 404


def test_the_key_in_the_path_wins_over_another(open_api: Api) -> None:
    """Who was given the address with the key sends what their program sends besides."""
    headers = {"Authorization": "Bearer sk-none"}
    assert get(open_api, f"/key/{open_api.key}/api/llm/jobs/", headers=headers).status_code == 200


def test_no_answer_has_the_key(open_api: Api) -> None:
    """Neither links nor errors."""
    key = open_api.key
    submitted = open_api.client.post(
        f"/key/{key}/api/llm/jobs/submit/", json={"prompt": "Why?", "model": "alpha"}
    )
    assert submitted.status_code == 202
    missing = get(open_api, f"/key/{key}/api/llm/jobs/none/")
    assert missing.status_code == 404
    for answer in (submitted, missing):
        assert key not in answer.text + str(answer.headers)


def test_what_servers_log_is_without_the_key() -> None:
    """The address that the server keeps for its log is the rest."""
    seen: dict[str, Any] = {}
    application = PathKeys(lambda environ, _: seen.update(environ) or [])
    path = "/key/pdk_secret/api/tags"
    application({"PATH_INFO": path, "QUERY_STRING": "a=1", "RAW_URI": f"{path}?a=1"}, None)
    assert (seen["PATH_INFO"], seen["RAW_URI"]) == ("/api/tags", "/api/tags?a=1")


def test_the_servers_own_errors_are_without_the_key(open_api: Api, caplog: pytest.LogCaptureFixture) -> None:
    """gunicorn names the request where a stream breaks."""
    logging.getLogger("gunicorn.error").error(
        "Error handling request %s", "/key/pdk_secret/api/chat?x=pdk_secret"
    )
    assert "secret" not in caplog.text
    assert "/api/chat" in caplog.text
