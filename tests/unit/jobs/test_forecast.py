"""What is known of the present, and the estimate made of it."""

import threading
import time
from datetime import timedelta
from typing import Any

import pytest

from jobs import forecast
from jobs.database import Database
from jobs.forecast import Backlog, Forecaster, Present, Running, estimate
from jobs.pauses import pause_queue
from jobs.records import Outcome
from jobs.scheduling import Pace
from jobs.service import JobService
from jobs.states import Status
from jobs.workers import InstalledModel, WorkerReport
from tests.support.jobs import NOW, SECOND, claim, make, row, submit

PACE = Pace(mean=2.0, deviation=0.5, samples=50, load=3.0)


def worker(*models: str, name: str = "w1", loaded: tuple[str, ...] = (), **values: Any) -> WorkerReport:
    known: dict[str, Any] = {"ollama_healthy": True, "concurrency": 2}
    installed = [InstalledModel(model, is_loaded=model in loaded) for model in models]
    return WorkerReport(name, "host", "url", **(known | values), reported_at=0.0, models=installed)


def seconds(present: Present, ahead: int = 0) -> float | None:
    found = estimate(present, "alpha", ahead, affinity_seconds=30.0, now=NOW)
    return None if found is None else found.seconds


def look(database: Database, *workers: WorkerReport) -> Present:
    return Forecaster(database, lambda: list(workers), 30.0).present()


# --- the estimate -----------------------------------------------------------------------------------


def test_an_idle_worker_takes_a_job_at_once() -> None:
    """Even where nothing is known of the model."""
    assert seconds(Present([worker("alpha")])) == 0.0


def test_jobs_ahead_at_the_model_s_pace() -> None:
    """Two slots, both busy for a second more."""
    running = [Running("w1", "alpha", NOW - SECOND)] * 2
    present = Present([worker("alpha", loaded=("alpha",))], running, {}, {"alpha": PACE})
    assert seconds(present, ahead=2) == 1.0 + 2.0


@pytest.mark.parametrize(
    "present",
    [
        Present(),
        Present([worker("beta")]),
        Present([worker("alpha", ollama_healthy=False)]),
        Present([worker("alpha")], paused={"alpha": NOW}),
        Present([worker("alpha")], [Running("w1", "alpha", NOW)]),
        Present([worker("alpha", "beta")], [], {"beta": Backlog(3, NOW)}, {"alpha": PACE}),
    ],
    ids=["no worker", "no model", "Ollama away", "paused", "no pace", "no pace of a rival"],
)
def test_what_is_not_known_is_not_guessed(present: Present) -> None:
    """No estimate, rather than a wrong one."""
    assert seconds(present, ahead=1) is None


def test_other_models_count_where_they_share_slots() -> None:
    """A model that no serving worker has, or that is paused, takes nothing away."""
    backlogs = {"alpha": Backlog(1, NOW), "beta": Backlog(4, NOW - SECOND)}
    known: dict[str, Any] = {"backlogs": backlogs, "paces": {"alpha": PACE, "beta": PACE}}
    shared = [worker("alpha", "beta", loaded=("alpha",))]
    assert seconds(Present(shared, **known)) == 4.0 + 3.0
    assert seconds(Present(shared, **known, paused={"beta": NOW})) == 0.0
    assert seconds(Present([worker("alpha", loaded=("alpha",)), worker("beta", name="w2")], **known)) == 0.0
    both = [worker("alpha", "beta", loaded=("alpha", "beta"))]
    assert seconds(Present(both, **known)) == 4.0


def test_more_runs_than_there_are_slots() -> None:
    """A worker that reports fewer slots than it fills is believed its jobs."""
    present = Present(
        [worker("alpha", concurrency=1)], [Running("w1", "alpha", NOW)] * 3, {}, {"alpha": PACE}
    )
    assert seconds(present) == 2.0


# --- the look ---------------------------------------------------------------------------------------


def test_what_a_look_sees(service: JobService) -> None:
    """What waits, what runs, how long jobs took, what is paused."""
    for load in (3.0, 0.05):
        run = claim(service, submit(service))
        service.finish(run.job_id, run.claim, Outcome({}, "x", 4.0, load_seconds=load), now=NOW + SECOND)
    make(service, Status.FAILED, model="beta")
    claim(service, submit(service, model="beta"))
    first, delayed = submit(service, priority=1), submit(service, delay_seconds=60.0)
    submit(service, model="gamma")
    pause_queue(service.database, "beta", now=NOW)
    present = look(service.database, worker("alpha", "beta"))
    assert present.backlogs == {"alpha": Backlog(2, NOW + timedelta(seconds=30))}
    assert {row(service, job_id).status for job_id in (first, delayed)} == {Status.PENDING}
    assert present.running == [Running("w1@gpu", "beta", NOW)]
    assert present.paused == {"beta": NOW}
    assert set(present.paces) == {"alpha"}
    pace = present.paces["alpha"]
    assert (pace.mean, pace.samples, pace.load) == (2.5, 2, 3.0)


def test_who_waited_for_another_s_load_is_no_slower(sqlite_database: Database) -> None:
    """Its first token was late, and the load was reported by the job that caused it."""
    service = JobService(sqlite_database)
    usual = (1.0, 0.0, 0.1)
    for took, load, first in ((4.0, 3.0, 3.1), (3.9, 0.0, 3.0), usual, usual, usual):
        run = claim(service, submit(service))
        outcome = Outcome({}, "x", took, load_seconds=load, first_token_seconds=first)
        service.finish(run.job_id, run.claim, outcome, now=NOW + SECOND)
    pace = look(sqlite_database).paces["alpha"]
    assert pace.mean == pytest.approx(1.0)
    assert pace.load == 3.0


def test_a_look_is_taken_once_a_second(sqlite_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers in between cost nothing; a model that has not run lately keeps its pace."""
    looks = []
    forecaster = Forecaster(sqlite_database, lambda: looks.append(1) or [], 30.0)  # type: ignore[func-returns-value]
    for _ in range(5):
        forecaster.present()
    assert len(looks) == 1
    monkeypatch.setattr(forecast, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(forecast, "REST_FACTOR", 0.0)
    forecaster._look_at = 0.0
    forecaster.present()
    forecaster.present()
    assert len(looks) == 3


def test_nobody_waits_for_a_look_that_hangs(sqlite_database: Database) -> None:
    """While one looks, others go by what is known; after a slow look the next comes late."""
    began, ends = threading.Event(), threading.Event()

    def workers() -> list[WorkerReport]:
        began.set()
        assert ends.wait(10)
        return []

    forecaster = Forecaster(sqlite_database, workers, 30.0)
    thread = threading.Thread(target=forecaster.present)
    thread.start()
    assert began.wait(10)
    assert forecaster.present() == Present()
    time.sleep(0.1)
    ends.set()
    thread.join()
    assert forecaster._look_at - time.monotonic() > 1.5


def test_an_old_look_is_forgotten(sqlite_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather than told."""
    forecaster = Forecaster(sqlite_database, lambda: [worker("alpha")], 30.0)
    assert forecaster.present().workers
    monkeypatch.setattr(forecast, "STALE_SECONDS", 0.0)
    assert forecaster.present() == Present()


def test_only_a_job_that_waits_has_an_estimate(sqlite_database: Database) -> None:
    """And one whose place is known."""
    service = JobService(sqlite_database)
    forecaster = Forecaster(sqlite_database, lambda: [worker("alpha")], 30.0)
    waiting, ended = row(service, submit(service)), row(service, make(service, Status.CANCELLED))
    assert forecaster.estimate(waiting, 0, now=NOW) is not None
    assert forecaster.estimate(waiting, None, now=NOW) is None
    assert forecaster.estimate(waiting, 1000, now=NOW) is None
    assert forecaster.estimate(ended, 0, now=NOW) is None
