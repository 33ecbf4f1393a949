"""How long a job will wait, against arithmetic by hand and against a simulated worker."""

import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.scheduling import Estimate, OtherModel, Pace, Turns, estimate_wait, rest_seconds
from tests.support.simulated_worker import Ollama, SimulatedJob, SimulatedWorker

STEADY = Pace(mean=2.0, deviation=0.0, samples=100, load=3.0)


def estimate(**values: object) -> Estimate:
    known: dict[str, object] = {
        "ahead": 0,
        "pace": STEADY,
        "others": [],
        "rests": [],
        "slots": 2,
        "is_loaded": True,
        "affinity_seconds": 30.0,
    }
    return estimate_wait(**(known | values))  # type: ignore[arg-type]


def other(**values: object) -> OtherModel:
    known: dict[str, object] = {"jobs": 4, "pace": STEADY, "is_served": False, "is_due_first": True}
    return OtherModel(**(known | values))  # type: ignore[arg-type]


def test_a_free_slot_means_no_wait() -> None:
    """At once, and sure of it."""
    assert estimate(rests=[1.0]) == Estimate(0.0, 0.0, 0.0, 0)


def test_the_first_slot_that_becomes_free() -> None:
    """The next job waits for the running one that ends first."""
    assert estimate(rests=[1.5, 0.5]).seconds == 0.5


@pytest.mark.parametrize(("ahead", "seconds"), [(1, 1.5), (2, 2.5), (3, 3.5), (10, 10.5)])
def test_jobs_ahead_take_their_slots(ahead: int, seconds: float) -> None:
    """Two slots, jobs of two seconds: by hand."""
    found = estimate(ahead=ahead, rests=[1.5, 0.5])
    assert found.seconds == seconds
    assert (found.low, found.high) == (seconds, seconds)  # jobs that all take the same leave no doubt


def test_a_model_that_is_not_loaded() -> None:
    """Whoever finds a free slot starts at once and loads it; those behind wait for that."""
    first, later = estimate(is_loaded=False), estimate(is_loaded=False, ahead=2, rests=[1.0])
    assert (first.seconds, first.loads) == (0.0, 1)
    assert (later.seconds, later.loads) == (1.0 + 3.0 + 2.0, 1)


def test_the_turn_of_another_model_comes_first() -> None:
    """Its work, and its load unless it is served already."""
    assert estimate(others=[other(is_served=True)], rests=[1.0, 1.0]).seconds == 1.0 + 4.0
    found = estimate(others=[other()], rests=[1.0, 1.0])
    assert (found.seconds, found.loads) == (1.0 + 4.0 + 3.0, 2)


def test_a_turn_is_limited() -> None:
    """A flood of another model holds a job up for a turn, not longer."""
    assert estimate(others=[other(jobs=1000, is_served=True)]).seconds == 30.0


def test_a_model_whose_turn_comes_later_is_only_possible() -> None:
    """It is in the range and not in the estimate."""
    found = estimate(ahead=4, others=[other(is_due_first=False)])
    assert (found.seconds, found.loads) == (4.0, 0)
    assert found.high > 4.0 + 4.0


def test_long_work_is_cut_into_turns() -> None:
    """Between two turns of its own every other model has one."""
    found = estimate(ahead=40, others=[other(is_due_first=False)])
    assert found.seconds == 40.0 + (4.0 + 3.0) + 3.0
    assert found.loads == 2


def test_models_that_fit_together_share_the_slots() -> None:
    """No turns and no loads: what is due before is work, what is due later is none."""
    assert estimate(others=[other(fits=True)], rests=[1.0, 1.0]).seconds == 1.0 + 4.0
    assert estimate(others=[other(fits=True, is_due_first=False)], rests=[1.0, 1.0]).seconds == 1.0


def test_a_job_that_runs_for_longer_than_usual() -> None:
    """Is expected to end, but not at once."""
    pace = Pace(mean=10.0, deviation=2.0, samples=9)
    assert rest_seconds(pace, 4.0) == 6.0
    assert rest_seconds(pace, 9.5) == rest_seconds(pace, 60.0) == 2.0
    assert rest_seconds(STEADY, 5.0) == 0.2


@given(
    ahead=st.integers(0, 2000),
    slots=st.integers(1, 16),
    running=st.floats(0, 1),
    mean=st.floats(0.01, 60),
    deviation=st.floats(0, 60),
    load=st.floats(0, 60),
    samples=st.integers(1, 300),
    is_loaded=st.booleans(),
    jobs=st.lists(st.tuples(st.integers(1, 1000), st.booleans(), st.booleans(), st.booleans()), max_size=4),
)
def test_the_estimate_is_within_its_range(  # noqa: PLR0917 - hypothesis gives them by name
    ahead: int,
    slots: int,
    running: float,
    mean: float,
    deviation: float,
    load: float,
    samples: int,
    is_loaded: bool,
    jobs: list[tuple[int, bool, bool, bool]],
) -> None:
    """Whatever the state: 0 <= low <= estimate <= high, and more ahead is never sooner."""
    pace = Pace(mean, deviation, samples, load)
    known: dict[str, object] = {
        "pace": pace,
        "slots": slots,
        "rests": [mean / 2] * int(running * slots),
        "is_loaded": is_loaded,
        "others": [OtherModel(count, pace, *rest) for count, *rest in jobs],
    }
    found = estimate(ahead=ahead, **known)
    assert 0 <= found.low <= found.seconds * (1 + 1e-9) + 1e-9
    assert found.seconds <= found.high * (1 + 1e-9) + 1e-9
    assert estimate(ahead=ahead + slots, **known).seconds >= found.seconds - 1e-9


@pytest.mark.parametrize("seed", range(5))
def test_waits_of_a_simulated_worker_are_as_estimated(seed: int) -> None:
    """A hundred jobs of random length on one model: most start within the range that was told."""
    made = random.Random(seed)
    runs = [made.uniform(0.5, 3.5) for _ in range(100)]
    worker = SimulatedWorker(Turns(30.0), slots=4, ageing_seconds=30.0, ollama=Ollama(load_seconds=0.0))
    jobs = [SimulatedJob("alpha", 5, 0.0, seconds) for seconds in runs]
    worker.run(jobs)
    pace = Pace(statistics.fmean(runs), statistics.stdev(runs), len(runs))
    within, errors = 0, []
    for ahead, job in enumerate(jobs):
        found = estimate(ahead=ahead, pace=pace, slots=4)
        within += found.low <= job.started_at <= found.high
        if ahead >= 20:
            errors.append(abs(found.seconds - job.started_at) / job.started_at)
    assert within >= 90
    assert statistics.median(errors) < 0.15
