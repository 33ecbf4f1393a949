"""Priorities, due times and levels: what a job's age is worth."""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta

LOWEST_LEVEL = 9
PRIORITIES = {"urgent": 0, "high": 2, "normal": 5, "low": 7, "batch": 9}
DEFAULT_PRIORITY = PRIORITIES["normal"]


def due_at(released_at: datetime, priority: int, ageing_seconds: float) -> datetime:
    """When a job of this priority has aged to the most urgent level."""
    return released_at + timedelta(seconds=priority * ageing_seconds)


def current_level(due: datetime, now: datetime, ageing_seconds: float) -> int:
    """
    The level, 0 (most urgent) to 9, that a job due at `due` has by `now`.

    A job that becomes due for a level has the due time of one submitted there
    now, so every level's list is ordered by due time by itself.
    """
    levels = math.ceil((due - now).total_seconds() / ageing_seconds)
    return max(0, min(LOWEST_LEVEL, levels))


def lifted_before(level: int, now: datetime, ageing_seconds: float) -> datetime:
    """Jobs at this level, 1 or more, that are due by then belong one level higher by `now`."""
    return now + timedelta(seconds=(level - 1) * ageing_seconds)


def backoff_seconds(attempts: int, schedule: Sequence[float]) -> float:
    """How long to wait after the `attempts`-th failed attempt; the last value of the schedule repeats."""
    return schedule[min(attempts, len(schedule)) - 1] if schedule else 0.0
