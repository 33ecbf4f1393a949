"""`Idempotency-Key`: the same value and body is the same job again."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import func, select

from jobs.errors import IdempotencyConflict
from jobs.housekeeping import purge_completed
from jobs.idempotency import Once, earlier_job
from jobs.key_limits import KeyLimits
from jobs.models import Job, Submission
from jobs.records import Publication
from jobs.requests import validate_submit
from jobs.service import JobService
from tests.unit.api.conftest import Api

SUBMIT = "/api/llm/jobs/submit/"
ROUTES: dict[str, dict[str, Any]] = {
    SUBMIT: {"prompt": "Why?", "model": "alpha"},
    "/api/ollama_models/query/": {"prompt": "Why?", "model": "alpha"},
    "/api/llm/trainer-analysis/": {
        "model_id": "alpha",
        "question_id": "q",
        "system_message": "s",
        "full_input": "i",
    },
}


def ask(api: Api, value: str, path: str = SUBMIT, *, key: str | None = None, **changes: Any) -> Any:
    return api.post(path, json={**ROUTES[path], **changes}, key=key, headers={"Idempotency-Key": value})


@pytest.mark.parametrize("path", ROUTES)
def test_the_same_again_is_the_same_job(api: Api, published: list[Publication], path: str) -> None:
    """200 instead of 202, and it is said; nothing is published a second time."""
    first, second = ask(api, "a", path), ask(api, "a", path)
    assert (first.status_code, second.status_code) == (202, 200)
    assert first.get_json()["job_id"] == second.get_json()["job_id"]
    assert (first.headers.get("Idempotent-Replayed"), second.headers["Idempotent-Replayed"]) == (None, "true")
    assert len(published) == 1


def test_the_same_again_says_the_priority_too(api: Api) -> None:
    """Which its key's limits have made of it."""
    key = api.keys.issue("k", limits=KeyLimits(priority_ceiling=7)).secret
    answers = [ask(api, "a", key=key, priority="urgent") for _ in range(2)]
    asked = {"Idempotency-Key": "b", "Prefer": "respond-async", "X-Priority": "0"}
    body = {"model": "alpha", "messages": []}
    answers += [api.post("/api/chat", key=key, json=body, headers=asked) for _ in range(2)]
    assert [answer.headers["X-Priority"] for answer in answers] == ["7"] * 4


def test_another_body_is_refused(api: Api, published: list[Publication]) -> None:
    """And names what is wrong."""
    ask(api, "a")
    other = ask(api, "a", prompt="What?")
    assert (other.status_code, other.get_json()["code"]) == (422, "idempotency_conflict")
    assert len(published) == 1


def test_another_route_is_another_request(api: Api) -> None:
    """Even with the same body."""
    ask(api, "a")
    assert ask(api, "a", "/api/ollama_models/query/").status_code == 422


def test_another_value_is_another_job(api: Api) -> None:
    """As is none at all."""
    ids = {ask(api, "a").get_json()["job_id"], ask(api, "b").get_json()["job_id"], api.submit(), api.submit()}
    assert len(ids) == 4


def test_values_count_among_those_of_one_key(api: Api) -> None:
    """A stranger's job is neither given nor told of."""
    stranger = api.keys.create("stranger")
    mine, theirs = ask(api, "a"), ask(api, "a", key=stranger, prompt="What?")
    assert (mine.status_code, theirs.status_code) == (202, 202)
    assert mine.get_json()["job_id"] != theirs.get_json()["job_id"]


@pytest.mark.parametrize("value", ["", "x" * 256, "tab\there", "ümlaut", " "])
def test_a_value_that_cant_be_one_is_refused(api: Api, value: str) -> None:
    """By its name."""
    answer = ask(api, value)
    assert answer.status_code == 422
    assert "Idempotency-Key" in answer.get_json()["errors"]


def test_a_repetition_costs_nothing_of_the_keys_limits(api: Api) -> None:
    """Who has been accepted is answered, also when nothing more would be."""
    key = api.keys.issue("one", limits=KeyLimits(max_pending=1)).secret
    assert [ask(api, "a", key=key).status_code for _ in range(3)] == [202, 200, 200]


def test_it_is_forgotten_with_the_job(service: JobService) -> None:
    """And the value may be used again."""
    request, once = validate_submit({"prompt": "Why?"}), Once("a", "d")
    values: dict[str, Any] = {"model": "alpha", "key_id": "k", "task": "tasks.generate", "once": once}
    first = service.submit(request, **values)
    service.cancel(first.job_id)
    assert earlier_job(service.database, "k", once) == first.job_id
    assert purge_completed(service, older_than_seconds=-60) == 1
    assert earlier_job(service.database, "k", once) is None
    assert service.submit(request, **values).job is not None


def test_of_fifty_at_once_one_makes_the_job(service: JobService) -> None:
    """On both databases, with a service each, as processes have."""
    request, once = validate_submit({"prompt": "Why?"}), Once("a", "d")
    writers = [JobService(service.database) for _ in range(10)]

    def submit(number: int) -> Any:
        return writers[number % 10].submit(
            request, model="alpha", key_id="k", task="tasks.generate", once=once
        )

    with ThreadPoolExecutor(50) as pool:
        submitted = list(pool.map(submit, range(50)))
    assert len({each.job_id for each in submitted}) == 1
    assert [each.is_replay for each in submitted].count(False) == 1
    with service.database.reading() as session:
        counts = [
            session.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (Job, Submission)
        ]
    assert counts == [1, 1]


def test_at_once_with_another_body(service: JobService) -> None:
    """One is taken, all others are refused."""

    def submit(number: int) -> bool:
        request = validate_submit({"prompt": str(number)})
        try:
            service.submit(
                request, model="alpha", key_id="k", task="tasks.generate", once=Once("a", str(number))
            )
        except IdempotencyConflict:
            return False
        return True

    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(submit, range(20))).count(True) == 1
