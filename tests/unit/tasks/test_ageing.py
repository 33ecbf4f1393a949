"""The ageing sweep on a fake and a real Redis."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.scheduling import current_level, due_at
from tasks.ageing import lift_due
from tasks.queue_lists import list_names
from tests.support.lined_up import line_up, lined_up

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
AGEING = 30.0


def _later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def _sweep(client: Any, seconds: float = 0.0, **more: Any) -> int:
    return lift_due(client, ["alpha", "beta"], ageing_seconds=AGEING, now=_later(seconds), **more)


def test_a_job_is_lifted_when_it_is_due(redis_client: Any) -> None:
    """And not a moment before."""
    line_up(redis_client, "alpha", 5, "j", due_at(NOW, 5, AGEING))
    assert _sweep(redis_client, 29.999) == 0
    assert _sweep(redis_client, 30) == 1
    assert lined_up(redis_client, "alpha") == {4: ["j"]}


def test_it_joins_at_the_back(redis_client: Any) -> None:
    """Who was submitted at that level before is due before."""
    line_up(redis_client, "alpha", 4, "old", due_at(NOW, 4, AGEING))
    line_up(redis_client, "alpha", 5, "first", due_at(NOW, 5, AGEING))
    line_up(redis_client, "alpha", 5, "second", due_at(NOW, 5, AGEING))
    assert _sweep(redis_client, 30) == 3
    assert lined_up(redis_client, "alpha") == {3: ["old"], 4: ["first", "second"]}


def test_however_late_a_sweep_is_it_lifts_by_one_level(redis_client: Any) -> None:
    """The next one lifts further."""
    line_up(redis_client, "beta", 9, "j", due_at(NOW, 9, AGEING))
    levels = []
    for _ in range(11):
        _sweep(redis_client, 10_000)
        levels += lined_up(redis_client, "beta")
    assert levels == [8, 7, 6, 5, 4, 3, 2, 1, 0, 0, 0]


def test_a_sweep_takes_no_more_than_its_share(redis_client: Any) -> None:
    """The oldest first; Redis serves others in between."""
    for number in range(5):
        line_up(redis_client, "alpha", 1, f"j{number}", _later(number))
    assert _sweep(redis_client, 10, most=2) == 2
    assert lined_up(redis_client, "alpha") == {0: ["j0", "j1"], 1: ["j2", "j3", "j4"]}


def test_what_says_no_due_time_stays(redis_client: Any) -> None:
    """Somebody else's message is not ours to move."""
    redis_client.lpush(list_names("ollama.alpha")[3], json.dumps({"headers": {"id": "foreign"}}))
    assert _sweep(redis_client, 10_000) == 0
    assert lined_up(redis_client, "alpha") == {3: ["foreign"]}


released = st.lists(st.tuples(st.integers(0, 9), st.floats(0, 100)), max_size=25)
moments = st.lists(st.floats(0, 400), min_size=1, max_size=8).map(sorted)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(released, moments, st.integers(1, 30))
def test_no_job_is_lost_doubled_or_lifted_twice(
    redis_client: Any, released: list[tuple[int, float]], moments: list[float], most: int
) -> None:
    """By sweeps at any moment, each run twice as two leaders would, and cut short by their share."""
    redis_client.flushall()
    submitted = {}
    for number, (level, at) in enumerate(sorted(released, key=lambda job: job[1])):
        submitted[f"j{number}"] = (level, due_at(_later(at), level, AGEING))
        line_up(redis_client, "alpha", level, f"j{number}", submitted[f"j{number}"][1])
    for moment in moments:
        for _ in range(2):
            before = _levels(redis_client)
            lifted = _sweep(redis_client, moment, most=most)
            after = _levels(redis_client)
            assert Counter(after.keys()) == Counter(submitted.keys())
            assert {before[job_id] - after[job_id] for job_id in after} <= {0, 1}
            assert sum(before[job_id] - after[job_id] for job_id in after) == lifted
            for job_id, level in after.items():
                # Never above the level of its due time, but for a microsecond of rounding.
                due = submitted[job_id][1] - timedelta(microseconds=2)
                assert level >= min(submitted[job_id][0], current_level(due, _later(moment), AGEING))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(released)
def test_lists_stay_in_the_order_of_their_due_times(
    redis_client: Any, released: list[tuple[int, float]]
) -> None:
    """With a sweep each second, as the keeper makes them, to within that second."""
    redis_client.flushall()
    due = {}
    coming = sorted(released, key=lambda job: job[1])
    for second in range(130):
        while coming and coming[0][1] <= second:
            level, at = coming.pop(0)
            job_id = f"j{len(due)}"
            due[job_id] = due_at(_later(at), level, AGEING)
            line_up(redis_client, "alpha", level, job_id, due[job_id])
        _sweep(redis_client, second)
        for ids in lined_up(redis_client, "alpha").values():
            for one, other in pairwise(ids):
                assert due[one] <= due[other] + timedelta(seconds=1)


def _levels(client: Any) -> dict[str, int]:
    found = [(job_id, level) for level, ids in lined_up(client, "alpha").items() for job_id in ids]
    assert len(found) == len(dict(found))
    return dict(found)
