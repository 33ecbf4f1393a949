"""Running an ended job again."""

import pytest

from jobs.housekeeping import expire_due
from jobs.records import Outcome, Publication
from jobs.states import Status
from tests.unit.api.conftest import OUTCOME, Api
from tests.unit.api.test_bad_input import UNKNOWN_ID, assert_problem


@pytest.fixture(autouse=True)
def republished(monkeypatch: pytest.MonkeyPatch) -> list[Publication]:
    """What a retry would have sent to the broker."""
    found: list[Publication] = []
    monkeypatch.setattr(
        "tasks.retrying.publish", lambda _client, publications, **_: found.extend(publications)
    )
    return found


def ended_job(api: Api, status: Status) -> str:
    """A job that ended so, after it was claimed if it ever was."""
    job_id = api.submit(deadline_seconds=0.001 if status is Status.EXPIRED else 3600, metadata={"a": "b"})
    if status is Status.FAILED:
        api.fail(job_id, text="so far")
    elif status is Status.CANCELLED:
        api.post(f"/api/llm/jobs/{job_id}/cancel/")
    else:
        assert expire_due(api.service) == [job_id]
    assert api.get(f"/api/llm/jobs/{job_id}/").get_json()["status"] == status
    return job_id


@pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELLED, Status.EXPIRED])
def test_an_ended_job_runs_again(api: Api, republished: list[Publication], status: Status) -> None:
    """A failed, cancelled or expired job is pending again as if it were new, published at once."""
    job_id = ended_job(api, status)
    answer = api.post(f"/api/llm/jobs/{job_id}/retry/")
    assert answer.status_code == 202
    job = answer.get_json()
    assert (job["status"], job["attempts"], job["error"], job["result_data"]) == ("pending", 0, None, None)
    assert (job["completed_at"], job["started_at"], job["metadata"]) == (None, None, {"a": "b"})
    assert "Retry-After" in answer.headers
    (publication,) = republished
    claimed = api.service.claim(job_id, publication=publication.publication, worker="w1")
    assert claimed is not None
    assert api.service.finish(job_id, claimed.claim, OUTCOME)
    assert api.get(f"/api/llm/jobs/{job_id}/result/").get_json()["result_data"] == "It scatters."


def test_the_message_before_the_retry_is_void(api: Api) -> None:
    """A message from before can't start the job a second time."""
    job_id = ended_job(api, Status.CANCELLED)
    api.post(f"/api/llm/jobs/{job_id}/retry/")
    assert api.service.claim(job_id, publication=1, worker="w1") is None


def test_a_completed_job_stays_completed(api: Api, republished: list[Publication]) -> None:
    """A job with a result can't be run again."""
    job_id = api.submit()
    api.complete(job_id)
    assert_problem(api.post(f"/api/llm/jobs/{job_id}/retry/"), 409, "already_complete")
    assert republished == []


def test_a_job_on_its_way_is_not_retried(api: Api, republished: list[Publication]) -> None:
    """A pending or running job gets 409, and goes on."""
    job_id = api.submit()
    assert (
        "pending" in assert_problem(api.post(f"/api/llm/jobs/{job_id}/retry/"), 409, "still_active")["detail"]
    )
    claimed = api.claim(job_id)
    problem = assert_problem(api.post(f"/api/llm/jobs/{job_id}/retry/"), 409, "still_active")
    assert "processing" in problem["detail"]
    assert republished == []
    assert api.service.finish(job_id, claimed.claim, Outcome({}, "text", 1.0))


def test_only_its_owner_may_retry(api: Api) -> None:
    """An unknown job and a stranger's get 404 alike."""
    job_id = ended_job(api, Status.CANCELLED)
    stranger = api.keys.create("stranger")
    assert_problem(api.post(f"/api/llm/jobs/{job_id}/retry/", key=stranger), 404, "job_not_found")
    assert_problem(api.post(f"/api/llm/jobs/{UNKNOWN_ID}/retry/"), 404, "job_not_found")
    assert api.get(f"/api/llm/jobs/{job_id}/").get_json()["status"] == "cancelled"


def test_a_retry_is_accepted_without_redis(
    api: Api, republished: list[Publication], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With Redis down the job is pending all the same; only readers are not told."""
    import redis

    from tasks.resources import get_resources

    def fail(*_: object) -> str:
        raise redis.ConnectionError

    job_id = ended_job(api, Status.CANCELLED)
    monkeypatch.setattr(get_resources().events, "add", fail)
    assert api.post(f"/api/llm/jobs/{job_id}/retry/").status_code == 202


def test_a_reader_after_a_retry_waits_for_the_new_end(api: Api) -> None:
    """The `done` of the cancelled run does not end the stream of the new one."""
    job_id = ended_job(api, Status.CANCELLED)
    api.post(f"/api/llm/jobs/{job_id}/retry/")
    frames = api.get(f"/api/llm/jobs/{job_id}/events/").iter_encoded()
    assert b'"pending"' in next(frames)
    assert b"event: done" not in next(frames)
