"""`Prefer: wait=N`: one request for a submit and its answer."""

import threading
import time

import pytest

from api import waiting
from jobs.events import DONE
from jobs.housekeeping import published_before
from tasks.resources import get_resources
from tests.unit.api.conftest import OUTCOME, Api

SUBMIT = "/api/llm/jobs/submit/"
BODY = {"prompt": "Why?", "model": "alpha"}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks often whether a job has ended: there is no Redis to tell it."""
    monkeypatch.setattr(waiting, "POLL_SECONDS", 0.05)


def complete_soon(api: Api, *, after_seconds: float = 0.2) -> threading.Thread:
    """Completes the job that is pending, or soon will be, as a worker would, a little later."""
    resources = get_resources()

    def work() -> None:
        time.sleep(after_seconds)
        while not (pending := published_before(api.service, seconds_ago=0, limit=1)):
            time.sleep(0.01)
        for found in pending:
            claimed = api.service.claim(found.job_id, publication=found.publication, worker="w1")
            assert claimed is not None
            api.service.finish(found.job_id, claimed.claim, OUTCOME)
            resources.events.add(found.job_id, DONE, {})

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_a_job_that_completes_in_time_is_the_answer(api: Api) -> None:
    """With a wait that is long enough, the submit answers 200 with the completed job."""
    thread = complete_soon(api)
    answer = api.post(SUBMIT, json=BODY, headers={"Prefer": "wait=20"})
    thread.join()
    assert answer.status_code == 200
    assert answer.headers["Preference-Applied"] == "wait=20"
    job = answer.get_json()
    assert (job["status"], job["result_data"]) == ("completed", "It scatters.")
    assert answer.headers["Location"] == f"/api/llm/jobs/{job['job_id']}/"
    assert "Retry-After" not in answer.headers


def test_a_job_that_takes_longer_is_accepted(api: Api) -> None:
    """After the wait the submit answers 202 as without it."""
    answer = api.post(SUBMIT, json=BODY, headers={"Prefer": "respond-async, wait=1"})
    assert (answer.status_code, answer.get_json()["status"]) == (202, "pending")
    assert answer.headers["Preference-Applied"] == "wait=1"


@pytest.mark.parametrize("part", ["", "status/", "result/"])
def test_looking_can_wait_too(api: Api, part: str) -> None:
    """The job, its status and its result wait for the end as preferred."""
    job_id = api.submit()
    thread = complete_soon(api)
    answer = api.get(f"/api/llm/jobs/{job_id}/{part}", headers={"Prefer": 'wait="20"'})
    thread.join()
    assert (answer.status_code, answer.get_json()["status"]) == (200, "completed")
    assert answer.headers["Preference-Applied"] == "wait=20"


@pytest.mark.parametrize("value", ["wait=-1", "wait=soon", "wait=1.5", "handling=lenient", "", "await=5"])
def test_a_preference_that_is_none_of_ours_is_ignored(api: Api, value: str) -> None:
    """What can't be read is as if it were not there."""
    answer = api.post(SUBMIT, json=BODY, headers={"Prefer": value})
    assert answer.status_code == 202
    assert "Preference-Applied" not in answer.headers


@pytest.mark.parametrize(
    ("value", "applied"), [("wait=0", 0), ("WAIT = 999", 60), ("wait", 60), ("wait=3;x", 3)]
)
def test_a_wait_is_at_most_a_minute(api: Api, value: str, applied: int) -> None:
    """A longer wait, or one without a length, is a minute; the answer says which was applied."""
    job_id = api.submit()
    api.complete(job_id)
    answer = api.get(f"/api/llm/jobs/{job_id}/", headers={"Prefer": value})
    assert answer.headers["Preference-Applied"] == f"wait={applied}"


def test_a_strangers_job_is_not_waited_for(api: Api) -> None:
    """Somebody else's job gets 404 at once."""
    stranger = api.keys.create("stranger")
    job_id = api.submit()
    started = time.monotonic()
    answer = api.get(f"/api/llm/jobs/{job_id}/", key=stranger, headers={"Prefer": "wait=30"})
    assert answer.status_code == 404
    assert time.monotonic() - started < 5
