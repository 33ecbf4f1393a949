"""
What runs next, as pure functions: no clock, no database, no Redis.

    due_times   priorities, due times, levels, back-off
    turns       which model's jobs go out next, and when a change of model is over
    overlap     how many jobs wait inside Ollama, so that no slot is idle between two
    together    which models Ollama holds at the same time
    window      how many of a key's jobs are lined up, and how many are held back
    bound       how long a job waits at most
    estimates   how long it will wait, as things are
"""

from jobs.scheduling.bound import wait_bound_seconds
from jobs.scheduling.due_times import (
    DEFAULT_PRIORITY,
    LOWEST_LEVEL,
    PRIORITIES,
    backoff_seconds,
    current_level,
    due_at,
    lifted_before,
)
from jobs.scheduling.estimates import Estimate, OtherModel, Pace, estimate_wait, rest_seconds
from jobs.scheduling.overlap import Overlap, most_overlap
from jobs.scheduling.together import LoadedTogether
from jobs.scheduling.turns import Gate, Turn, Turns, Waiting, next_turn

__all__ = [
    "DEFAULT_PRIORITY",
    "LOWEST_LEVEL",
    "PRIORITIES",
    "Estimate",
    "Gate",
    "LoadedTogether",
    "OtherModel",
    "Overlap",
    "Pace",
    "Turn",
    "Turns",
    "Waiting",
    "backoff_seconds",
    "current_level",
    "due_at",
    "estimate_wait",
    "lifted_before",
    "most_overlap",
    "next_turn",
    "rest_seconds",
    "wait_bound_seconds",
]
