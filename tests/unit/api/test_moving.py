"""PATCH: another priority for a job that waits."""

from typing import Any

import pytest

from jobs.key_limits import KeyLimits
from jobs.records import Outcome, Publication
from jobs.states import Status
from tests.unit.api.conftest import Api
from tests.unit.api.test_bad_input import UNKNOWN_ID, assert_problem


@pytest.fixture(autouse=True)
def republished(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Publication, bool]]:
    """What moving would have sent to the broker, and whether to the serving end."""
    found: list[tuple[Publication, bool]] = []
    monkeypatch.setattr(
        "tasks.moving.publish",
        lambda _client, publications, *, ageing_seconds, serve_next: found.extend(
            (publication, serve_next) for publication in publications
        ),
    )
    return found


def move(api: Api, job_id: str, body: Any, **options: Any) -> Any:
    return api.request("PATCH", f"/api/llm/jobs/{job_id}/", json=body, **options)


def test_a_pending_job_is_moved(api: Api, republished: list[tuple[Publication, bool]]) -> None:
    """The answer is the job, and a new message takes the place of the old one."""
    job_id = api.submit(priority=5)
    answer = move(api, job_id, {"priority": "high"})
    assert answer.status_code == 200, answer.text
    assert (answer.get_json()["priority"], answer.headers["X-Priority"]) == (2, "2")
    ((publication, serve_next),) = republished
    assert (publication.job_id, publication.publication, serve_next) == (job_id, 2, False)


def test_a_job_that_is_due_already_goes_to_the_serving_end(
    api: Api, republished: list[tuple[Publication, bool]]
) -> None:
    """Moved to urgent, it is as old as it is, and not behind those that are submitted now."""
    move(api, api.submit(priority=5), {"priority": 0})
    assert [serve_next for _, serve_next in republished] == [True]


def test_a_key_s_ceiling_holds(api: Api) -> None:
    """A key gets no job above its ceiling in this way either."""
    key = api.keys.issue("low", limits=KeyLimits(priority_ceiling=4)).secret
    job_id = api.submit(key=key, priority=7)
    answer = move(api, job_id, {"priority": 0}, key=key)
    assert (answer.get_json()["priority"], answer.headers["X-Priority"]) == (4, "4")


def test_a_job_that_runs_or_has_ended_is_not_moved(
    api: Api, republished: list[tuple[Publication, bool]]
) -> None:
    """409, and which of the two it is."""
    running, ended = api.submit(), api.submit()
    api.claim(running)
    api.complete(ended)
    assert_problem(move(api, running, {"priority": 0}), 409, "not_pending")
    assert_problem(move(api, ended, {"priority": 0}), 409, "already_complete")
    assert republished == []


def test_a_stranger_s_job_is_not_there(api: Api) -> None:
    """Nor is one that never was."""
    job_id = api.submit(key=api.keys.create("other"))
    for one in (job_id, UNKNOWN_ID):
        assert_problem(move(api, one, {"priority": 0}), 404, "job_not_found")


@pytest.mark.parametrize(
    "body", [{}, {"priority": 10}, {"priority": "soon"}, {"priority": None}, {"priority": 1, "model": "b"}]
)
def test_what_is_no_priority(api: Api, body: dict[str, Any]) -> None:
    """422, and the job stays as it is."""
    job_id = api.submit(priority=5)
    assert_problem(move(api, job_id, body), 422, "invalid_request")
    assert api.get(f"/api/llm/jobs/{job_id}/").get_json()["priority"] == 5


def test_the_history_of_a_moved_job(api: Api) -> None:
    """What happened, with its details, and the same as stretches of time."""
    job_id = api.submit(priority=5)
    move(api, job_id, {"priority": 2})
    api.service.finish(
        job_id, api.service.claim(job_id, publication=2, worker="w1").claim, Outcome({}, "x", 0.0)
    )
    answer = api.get(f"/api/llm/jobs/{job_id}/history/").get_json()
    assert (answer["job_id"], answer["status"]) == (job_id, Status.COMPLETED)
    told = [(moment["event"], moment["detail"]) for moment in answer["events"]]
    assert ("priority_changed", {"from": 5, "to": 2}) in told
    assert ("published", {"publication": 2}) in told
    assert (told[0][0], told[-1][0]) == ("submitted", "completed")
    assert [span["name"] for span in answer["spans"]] == ["waiting", "running"]
    assert answer["events"][0]["after_seconds"] == 0


def test_a_stranger_s_history_is_not_there(api: Api) -> None:
    """Nor is one of a job that never was."""
    job_id = api.submit(key=api.keys.create("other"))
    for one in (job_id, UNKNOWN_ID):
        assert_problem(api.get(f"/api/llm/jobs/{one}/history/"), 404, "job_not_found")
