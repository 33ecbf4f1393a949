"""Why a job waits."""

from datetime import timedelta
from typing import Any

import pytest

from jobs.forecast import Present, Running
from jobs.models import Job
from jobs.reasons import explain, slots
from jobs.scheduling import Estimate
from tests.support.jobs import NOW
from tests.unit.jobs.test_forecast import worker

WORKING = Present([worker("alpha")])


def codes(
    present: Present = WORKING, *, broker: bool = True, ahead: int | None = 0, **values: Any
) -> list[str]:
    return [reason.code for reason in reasons(present, broker=broker, ahead=ahead, **values)]


def reasons(
    present: Present = WORKING,
    *,
    broker: bool = True,
    ahead: int | None = 0,
    estimate: Estimate | None = None,
    **values: Any,
) -> Any:
    known: dict[str, Any] = {"status": "pending", "model": "alpha", "attempts": 0, "released_at": NOW}
    job = Job(**(known | values))
    return explain(job, present, ahead=ahead, estimate=estimate, is_broker_up=broker, now=NOW)


def test_nothing_in_its_way() -> None:
    """It is next."""
    assert codes() == ["next"]


@pytest.mark.parametrize(
    ("status", "code"),
    [("processing", "running"), *((s, "ended") for s in ("completed", "failed", "cancelled", "expired"))],
)
def test_a_job_that_does_not_wait(status: str, code: str) -> None:
    """Says so, and nothing else."""
    assert codes(Present(), broker=False, status=status, worker="w1") == [code]


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"not_before": NOW + timedelta(seconds=9)}, "delayed"),
        ({"not_before": NOW + timedelta(seconds=9), "attempts": 1}, "backing_off"),
        ({"not_before": None}, "key_window"),
    ],
)
def test_a_job_that_is_not_released(values: dict[str, Any], code: str) -> None:
    """By its own time, after a failure, or behind its own key's."""
    assert codes(ahead=None, released_at=None, **values) == [code]


def test_a_back_off_tells_how_long() -> None:
    """From now on."""
    (reason,) = reasons(ahead=None, released_at=None, attempts=1, not_before=NOW + timedelta(seconds=2.5))
    assert "2.5 s" in reason.message


@pytest.mark.parametrize(
    ("present", "broker", "code"),
    [
        (WORKING, False, "broker_unavailable"),
        (Present(), True, "no_workers"),
        (Present([worker("beta")]), True, "no_worker_with_model"),
        (Present([worker("alpha", ollama_healthy=False)]), True, "ollama_unavailable"),
        (Present([worker("alpha")], paused={"alpha": NOW}), True, "queue_paused"),
    ],
)
def test_nobody_can_run_it(present: Present, broker: bool, code: str) -> None:
    """The first thing that is missing is named."""
    assert codes(present, broker=broker) == [code]


def test_what_goes_before_it() -> None:
    """Jobs, loads, slots, in this order."""
    present = Present([worker("alpha")], [Running("w1", "alpha", NOW)] * 2)
    found = reasons(present, ahead=1, estimate=Estimate(9.0, 5.0, 12.0, loads=1))
    assert [reason.code for reason in found] == ["jobs_ahead", "model_loads_ahead", "slots_busy"]
    assert found[0].message == "1 job of the same model goes first."
    assert "All 2 slots" in found[2].message


def test_no_more_slots_are_busy_than_there_are() -> None:
    """While jobs are short a few more are claimed; they wait inside Ollama."""
    present = Present([worker("alpha")], [Running("w1", "alpha", NOW)] * 3)
    assert slots("alpha", present) == (2, 2)


def test_a_capped_place() -> None:
    """More than are counted."""
    (reason,) = reasons(ahead=1000)
    assert reason.message.startswith("1000 jobs or more")


def test_a_single_slot_and_several_loads() -> None:
    """In words that fit."""
    present = Present([worker("alpha", concurrency=1)], [Running("w1", "alpha", NOW)])
    loads, slot = reasons(present, estimate=Estimate(9.0, 5.0, 12.0, loads=3))
    assert "3 times a model" in loads.message
    assert slot.message == "The only slot is busy."
