"""What runs next, as arithmetic."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.scheduling import LOWEST_LEVEL, PRIORITIES, backoff_seconds, current_level, due_at, lifted_before

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
AGEING = 30.0
TICK = timedelta(microseconds=1)

levels = st.integers(0, LOWEST_LEVEL)
ageings = st.floats(0.5, 3600.0)
waits = st.floats(0.0, 100_000.0)


def _later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_the_names_of_the_priorities() -> None:
    """As the contract has them."""
    assert PRIORITIES == {"urgent": 0, "high": 2, "normal": 5, "low": 7, "batch": 9}


@pytest.mark.parametrize(("priority", "seconds"), [(0, 0), (1, 30), (5, 150), (9, 270)])
def test_each_level_costs_the_ageing_time(priority: int, seconds: int) -> None:
    """A job is due when it has aged through all its levels."""
    assert due_at(NOW, priority, AGEING) == _later(seconds)


@pytest.mark.parametrize(
    ("due", "level"),
    [
        (NOW - timedelta(days=1), 0),
        (NOW, 0),
        (NOW + TICK, 1),
        (_later(30), 1),
        (_later(30) + TICK, 2),
        (_later(270), 9),
        (_later(271), 9),
        (NOW + timedelta(days=1), 9),
    ],
)
def test_the_level_of_the_moment(due: datetime, level: int) -> None:
    """A level ends at its very moment, and there are none below 0 or above 9."""
    assert current_level(due, NOW, AGEING) == level


@given(levels, ageings)
def test_a_job_starts_at_its_own_level(priority: int, ageing: float) -> None:
    """At its release the level is the priority it was submitted with, but for rounding."""
    assert current_level(due_at(NOW, priority, ageing) - TICK, NOW, ageing) <= priority
    assert current_level(due_at(NOW, priority, ageing) + TICK, NOW, ageing) >= priority


@given(levels, ageings, waits, waits)
def test_a_job_never_sinks(priority: int, ageing: float, first: float, more: float) -> None:
    """However long it waits, its level only becomes more urgent."""
    due = due_at(NOW, priority, ageing)
    before = current_level(due, _later(first), ageing)
    assert current_level(due, _later(first + more), ageing) <= before


@given(levels, ageings)
def test_every_job_becomes_the_most_urgent(priority: int, ageing: float) -> None:
    """After its levels' time nothing is more urgent."""
    due = due_at(NOW, priority, ageing)
    assert current_level(due, due, ageing) == 0


@given(levels, levels, ageings, waits)
def test_who_is_due_first_has_no_lower_level(one: int, other: int, ageing: float, wait: float) -> None:
    """Levels agree with due times, so that each level's list is in order by itself."""
    first, second = sorted([due_at(NOW, one, ageing), due_at(_later(wait), other, ageing)])
    now = _later(wait)
    assert current_level(first, now, ageing) <= current_level(second, now, ageing)


@pytest.mark.parametrize(("attempts", "seconds"), [(1, 2.0), (2, 4.0), (3, 8.0), (4, 8.0), (99, 8.0)])
def test_the_back_off_follows_its_schedule(attempts: int, seconds: float) -> None:
    """The last value repeats."""
    assert backoff_seconds(attempts, (2.0, 4.0, 8.0)) == seconds


def test_without_a_schedule_there_is_no_wait() -> None:
    """An empty setting means at once."""
    assert backoff_seconds(1, ()) == 0.0


@given(levels.filter(bool), ageings, st.floats(-10_000, 10_000))
def test_a_job_is_lifted_when_its_level_has_changed(level: int, ageing: float, due_in: float) -> None:
    """What is due by then belongs at a more urgent level, and nothing else."""
    due, limit = _later(due_in), lifted_before(level, NOW, ageing)
    if due < limit - TICK:
        assert current_level(due, NOW, ageing) < level
    if due > limit + TICK:
        assert current_level(due, NOW, ageing) >= level
