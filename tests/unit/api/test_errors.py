"""The table of errors, and what stands around every answer."""

import logging
import re

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug import exceptions as http

from api.errors import ERRORS, kind_of
from jobs import errors as core
from tests.unit.api.conftest import Api

CORE_ERRORS = [
    error for error in vars(core).values() if isinstance(error, type) and issubclass(error, core.JobsError)
]


@pytest.mark.parametrize("error", [error for error in CORE_ERRORS if error is not core.JobsError])
def test_the_core_s_errors_keep_their_codes(error: type[core.JobsError]) -> None:
    """Each error of the core has a row of its own, under its own code."""
    assert ERRORS[error].code == error.code


def test_codes_are_stable_words() -> None:
    """A code is lower-case words; no code stands for two statuses."""
    statuses: dict[str, int] = {}
    for kind in ERRORS.values():
        assert re.fullmatch(r"[a-z_]+", kind.code)
        assert statuses.setdefault(kind.code, kind.status) == kind.status


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (http.Gone(), 410, "gone"),
        (http.ClientDisconnected(), 400, "bad_request"),
        (ValueError("x"), 500, "internal_error"),
        (core.JobsError("x"), 500, "internal_error"),
    ],
)
def test_an_error_without_a_row_of_its_own(error: Exception, status: int, code: str) -> None:
    """It answers as its parent does, and an HTTP error as itself."""
    assert kind_of(error)[:2] == (status, code)


@pytest.mark.parametrize("error", [OperationalError("SELECT", {}, Exception("gone")), PoolTimeout("full")])
def test_a_database_that_is_away(api: Api, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Without its database the API answers 503 and when to try again."""

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(api.service, "submit", fail)
    answer = api.post("/api/llm/jobs/submit/", json={"prompt": "x", "model": "alpha"})
    assert (answer.status_code, answer.get_json()["code"]) == (503, "database_unavailable")
    assert int(answer.headers["Retry-After"]) >= 1


def test_a_database_without_tables(api: Api) -> None:
    """A database that can't be read gets 503 also where the key would be checked."""
    from jobs.models import Base

    Base.metadata.drop_all(api.database.engine)
    assert api.get("/api/llm/jobs/").status_code == 503


def test_an_error_inside_tells_nothing(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What nobody foresaw gets 500 with an id to find it by, and no word of its message anywhere."""

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("-".join(("the", "secret", "prompt")))

    monkeypatch.setattr("api.jobs.submit_job", fail)
    with caplog.at_level(logging.DEBUG):
        answer = api.post("/api/llm/jobs/submit/", json={"prompt": "x"}, headers={"X-Request-ID": "find-me"})
    assert (answer.status_code, answer.get_json()["code"]) == (500, "internal_error")
    assert "the-secret-prompt" not in answer.text + caplog.text
    assert "find-me" in caplog.text
    assert "RuntimeError" in caplog.text


@pytest.mark.parametrize("given", ["abc-123", "~" * 128, "with a space"])
def test_a_request_id_comes_back(api: Api, given: str) -> None:
    """A caller's own X-Request-ID comes back, on errors too."""
    for path in ("/healthz", "/nothing"):
        assert api.client.get(path, headers={"X-Request-ID": given}).headers["X-Request-ID"] == given


@pytest.mark.parametrize("given", ["", " ", "x" * 129, "\u00fc", "a\tb"])
def test_a_request_id_that_is_odd_is_replaced(api: Api, given: str) -> None:
    """What is no plain id gets a new one instead."""
    found = api.client.get("/healthz", headers={"X-Request-ID": given}).headers["X-Request-ID"]
    assert re.fullmatch(r"[0-9a-f-]{36}", found)


def test_headers_of_every_answer(api: Api) -> None:
    """Nothing is guessed from content, and nothing is kept in a cache."""
    for answer in (api.get("/api/llm/jobs/"), api.get("/nothing"), api.client.get("/")):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"


def test_a_prompt_is_in_no_log(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    """No log line of a request, good or bad, holds its prompt."""
    with caplog.at_level(logging.DEBUG):
        api.submit(prompt="the-secret-prompt")
        api.post("/api/llm/jobs/submit/", json={"prompt": "the-secret-prompt", "priority": 99})
    assert "the-secret-prompt" not in caplog.text


def test_a_database_error_does_not_quote_values(api: Api) -> None:
    """An error of the database names the statement, never what was to be stored."""
    with pytest.raises(OperationalError) as raised, api.database.reading() as session:
        session.execute(text("INSERT INTO nowhere VALUES (:prompt)"), {"prompt": "the-secret-prompt"})
    assert "the-secret-prompt" not in str(raised.value)
