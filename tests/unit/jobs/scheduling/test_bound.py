"""The stated bound, in a simulation of a worker with arbitrary jobs."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.scheduling import Turns, wait_bound_seconds
from tests.support.simulated_worker import Ollama, SimulatedJob, SimulatedWorker

AGEING = 10.0
AFFINITY = 5.0

arrivals = st.lists(
    st.builds(
        SimulatedJob,
        model=st.sampled_from("abc"),
        level=st.integers(0, 9),
        released_at=st.floats(0, 120),
        runs_seconds=st.floats(0.05, 4),
    ),
    max_size=60,
)


def _serve(jobs: list[SimulatedJob], *, slots: int = 1, load_seconds: float = 1.0) -> SimulatedWorker:
    worker = SimulatedWorker(Turns(AFFINITY), slots, AGEING, Ollama(load_seconds))
    worker.run(jobs)
    return worker


@settings(max_examples=200, deadline=None)
@given(arrivals, st.integers(1, 4), st.sampled_from([0.0, 0.4, 2.0]))
def test_no_job_waits_longer_than_its_bound(
    jobs: list[SimulatedJob], slots: int, load_seconds: float
) -> None:
    """Whatever comes, in whatever order; and nothing is left over."""
    _serve(jobs, slots=slots, load_seconds=load_seconds)
    for job in jobs:
        before = [other for other in jobs if other.due_at <= job.due_at and other is not job]
        bound = wait_bound_seconds(
            level=job.level,
            ageing_seconds=AGEING,
            work_seconds=sum(other.runs_seconds for other in before) / slots,
            models=len({other.model for other in jobs}),
            turn_seconds=AFFINITY,
            load_seconds=load_seconds,
            rest_seconds=max(other.runs_seconds for other in jobs),
        )
        assert job.started_at - job.released_at <= bound + 1.0  # a sweep comes once a second


@settings(max_examples=100, deadline=None)
@given(arrivals, st.integers(1, 4))
def test_within_a_model_and_level_who_is_due_first_is_first(jobs: list[SimulatedJob], slots: int) -> None:
    """No job passes one of its own model that was submitted at its level before it."""
    _serve(jobs, slots=slots)
    for one in jobs:
        for other in jobs:
            if (one.model, one.level) == (other.model, other.level) and one.released_at < other.released_at:
                assert one.started_at <= other.started_at


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0.01, 0.2)), min_size=2, max_size=80))
def test_a_backlog_costs_one_load_a_model(work: list[tuple[str, float]]) -> None:
    """In whatever order it came, if it is done within a turn."""
    jobs = [SimulatedJob(model, 5, 0.0, seconds / 10) for model, seconds in work]
    worker = _serve(jobs)
    assert worker.ollama.loads == len({model for model, _ in work})


def test_a_stream_of_one_model_holds_another_up_for_a_turn() -> None:
    """And for the load and the job that runs."""
    jobs = [SimulatedJob("a", 5, number * 0.05, 0.2) for number in range(1000)]
    others = [SimulatedJob("b", 5, 2.0 + number * 9, 0.2) for number in range(5)]
    _serve([*jobs, *others], slots=4)
    assert max(job.started_at - job.released_at for job in others) <= AFFINITY + 1.0 + 0.2 + 1e-6


def test_an_urgent_stream_does_not_hold_back_what_has_aged() -> None:
    """A background job of another model starts when it is due, a turn later at most."""
    urgent = [SimulatedJob("a", 0, number * 0.1, 0.1) for number in range(2000)]
    background = SimulatedJob("b", 9, 1.0, 0.1)
    _serve([*urgent, background])
    assert background.started_at - background.released_at <= 9 * AGEING + AFFINITY + 1.0 + 0.2


def test_an_urgent_job_of_another_model_is_not_kept_waiting_for_a_turn() -> None:
    """It ends a turn of less urgent jobs."""
    batch = [SimulatedJob("a", 9, 0.0, 0.1) for _ in range(100)]
    urgent = SimulatedJob("b", 0, 1.0, 0.1)
    _serve([*batch, urgent])
    assert urgent.started_at - urgent.released_at == pytest.approx(1.1, abs=0.11)


@pytest.mark.parametrize(("models", "bound"), [(1, 150 + 40 + 12), (3, 150 + 40 + 2 * 42 + 12 + 54)])
def test_the_bound_in_numbers(models: int, bound: float) -> None:
    """Level 5, 40 s of work before it, turns of 30 s, loads of 2 s, jobs of 10 s."""
    found = wait_bound_seconds(
        level=5,
        ageing_seconds=30,
        work_seconds=40,
        models=models,
        turn_seconds=30,
        load_seconds=2,
        rest_seconds=10,
    )
    assert math.isclose(found, bound)
