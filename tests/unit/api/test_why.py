"""What a job waits for, and the estimate on the job."""

from collections.abc import Callable
from typing import Any

import pytest
import redis

from jobs import forecast
from jobs.pauses import pause_queue
from jobs.records import Outcome
from jobs.workers import InstalledModel
from tasks import resources
from tests.unit.api.conftest import Api
from tests.unit.api.test_bad_input import UNKNOWN_ID, assert_problem

MODEL = InstalledModel("alpha", 1, is_loaded=True)


@pytest.fixture(autouse=True)
def always_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every answer by a look of its own."""
    monkeypatch.setattr(forecast, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(forecast, "REST_FACTOR", 0.0)


def why(api: Api, job_id: str, **options: Any) -> Any:
    answer = api.get(f"/api/llm/jobs/{job_id}/why/", **options)
    assert answer.status_code == 200, answer.text
    return answer.get_json()


def codes(answer: Any) -> list[str]:
    return [reason["code"] for reason in answer["reasons"]]


def busy(api: Api, report: Callable[..., None], **values: Any) -> None:
    """A worker whose jobs took two seconds each, and with its slots in use."""
    report(MODEL, **values)
    for _ in range(3):
        done = api.claim(api.submit())
        api.service.finish(done.job_id, done.claim, Outcome({}, "x", 2.0))
    for _ in range(2):
        api.claim(api.submit())


def test_a_job_with_others_ahead(api: Api, report: Callable[..., None]) -> None:
    """Place, slots, reasons, and a wait with its range."""
    busy(api, report)
    _, last = api.submit(), api.submit()
    answer = why(api, last)
    assert (answer["queue_position"], answer["position_capped"]) == (1, False)
    assert answer["slots"] == {"total": 2, "busy": 2}
    assert codes(answer) == ["jobs_ahead", "slots_busy"]
    wait = answer["estimated_wait"]
    assert 0 <= wait["low"] <= wait["seconds"] <= wait["high"]
    assert wait["seconds"] == pytest.approx(2.0, abs=1.0)
    assert answer["model_loads_ahead"] == 0


def test_a_job_shows_its_estimate(api: Api, report: Callable[..., None]) -> None:
    """Where it is submitted, looked at and listed; null once it runs."""
    busy(api, report)
    submitted = api.post("/api/llm/jobs/submit/", json={"prompt": "Why?", "model": "alpha"}).get_json()
    (listed,) = api.get("/api/llm/jobs/?status=pending").get_json()["jobs"]
    for job in (submitted, listed, api.get(f"/api/llm/jobs/{submitted['job_id']}/status/").get_json()):
        assert job["estimated_wait_seconds"] == pytest.approx(2.0, abs=1.0)
    api.claim(submitted["job_id"])
    running = api.get(f"/api/llm/jobs/{submitted['job_id']}/").get_json()
    assert running["estimated_wait_seconds"] is None
    assert codes(why(api, submitted["job_id"])) == ["running"]


def test_a_paused_queue(api: Api, report: Callable[..., None]) -> None:
    """Nobody knows for how long."""
    busy(api, report)
    job_id = api.submit()
    pause_queue(api.database, "alpha")
    answer = why(api, job_id)
    assert codes(answer)[0] == "queue_paused"
    assert answer["estimated_wait"] == {"seconds": None, "low": None, "high": None}
    assert api.get(f"/api/llm/jobs/{job_id}/").get_json()["estimated_wait_seconds"] is None


def test_behind_more_than_are_counted(
    api: Api, report: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only how soon at the earliest."""
    busy(api, report)
    job_id = api.submit()
    monkeypatch.setattr("api.access.queue_position", lambda _session, _job: 1000)
    answer = why(api, job_id)
    assert (answer["queue_position"], answer["position_capped"]) == (1000, True)
    assert answer["estimated_wait"]["low"] > 500
    assert (answer["estimated_wait"]["seconds"], answer["estimated_wait"]["high"]) == (None, None)


def test_no_worker_and_no_broker(api: Api) -> None:
    """What is missing is named."""
    job_id = api.submit()
    assert codes(why(api, job_id)) == ["no_workers"]
    resources.get_resources().__dict__["redis"] = redis.Redis.from_url("unix:///tmp/no-such.sock")
    assert codes(why(api, job_id)) == ["broker_unavailable"]


def test_a_stranger_s_job_is_not_explained(api: Api) -> None:
    """It is not there."""
    job_id = api.submit(key=api.keys.create("other"))
    for one in (job_id, UNKNOWN_ID):
        assert_problem(api.get(f"/api/llm/jobs/{one}/why/"), 404, "job_not_found")


def test_the_command_tells_the_same(api: Api, report: Callable[..., None]) -> None:
    """The wait in a line, and each reason."""
    busy(api, report)
    first, last = api.submit(), api.submit()
    runner = api.app.test_cli_runner()
    lines = runner.invoke(args=["jobs", "why", last]).output.splitlines()
    assert lines[0].startswith("starts in about ")
    assert [line.split(":")[0] for line in lines[1:]] == ["jobs_ahead", "slots_busy"]
    api.service.cancel(first)
    assert runner.invoke(args=["jobs", "why", first]).output == "ended: It is cancelled.\n"
    assert runner.invoke(args=["jobs", "why", "nobody"]).exit_code == 1
