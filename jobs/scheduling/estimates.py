"""
How long a job will wait, as far as the present tells: nothing more urgent comes, and jobs take as
long as lately.

Turns are part of it: before the model's own turn comes that of the model which is served now,
and those of the models whose oldest job is due earlier. While work of its own lasts longer than
a turn, every other model that waits gets one in between.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from jobs.scheduling.turns import turn_seconds

LIKELY = 1.64  # standard deviations: 90 of 100 waits are expected within the range


@dataclass(frozen=True)
class Pace:
    """How long the last jobs of a model took, loads apart; and its loads. Seconds."""

    mean: float
    deviation: float
    samples: int
    load: float = 0.0


@dataclass(frozen=True)
class OtherModel:
    """Another model with jobs for the same slots."""

    jobs: int
    pace: Pace
    is_served: bool  # it is its turn
    is_due_first: bool  # its oldest job is due before this model's oldest
    fits: bool = False  # Ollama holds it together with this model: no turns, no loads


@dataclass(frozen=True)
class Estimate:
    """Seconds until a job starts; most waits are between `low` and `high`."""

    seconds: float
    low: float
    high: float
    loads: int  # of models, before it starts


def estimate_wait(
    *,
    ahead: int,
    pace: Pace,
    others: Sequence[OtherModel],
    rests: Sequence[float],
    slots: int,
    is_loaded: bool,
    affinity_seconds: float,
) -> Estimate:
    """
    When a job of a model starts.

    Args:
        ahead: Jobs of its model that are served before it.
        rests: How long each running job of these slots still takes.
        slots: Jobs at once, 1 or more: of all workers that have the model.
        is_loaded: Whether a worker has it loaded.
    """
    sharing = [other for other in others if other.fits and other.is_due_first]
    rivals = [other for other in others if not other.fits]
    first = [other for other in rivals if other.is_served or other.is_due_first]
    jobs = ahead + sum(other.jobs for other in sharing)
    work = ahead * pace.mean + sum(other.jobs * other.pace.mean for other in sharing)
    mean = work / jobs if jobs else pace.mean

    rounds, place = divmod(jobs, slots)
    must_load = bool(first) or not is_loaded
    # A job of the first round starts in a free slot and loads the model itself; later ones wait for that.
    begins = _free_after(rests, slots, place, is_switch=must_load and rounds > 0)
    own = rounds * mean
    before = sum(_turn_of(other, slots, affinity_seconds) for other in first)
    load = pace.load if must_load and rounds else 0.0
    turn = turn_seconds(affinity_seconds, pace.load)
    cuts = int(own // turn) if rivals and turn > 0 else 0
    between = sum(_turn_of(other, slots, affinity_seconds) for other in rivals) + pace.load
    seconds = begins + own + before + load + cuts * between

    rounds_each = jobs / slots
    error_of_mean = pace.deviation / math.sqrt(pace.samples)
    spread = LIKELY * math.hypot(pace.deviation * math.sqrt(rounds_each + 1), error_of_mean * rounds_each)
    is_next = not jobs and not begins
    rest = sum(_turn_of(other, slots, affinity_seconds) for other in rivals if other not in first)
    return Estimate(
        seconds=seconds,
        low=0.0 if is_next else max(0.0, begins + own - spread),
        high=seconds if is_next and not rivals else seconds + spread + rest + (pace.load if rest else 0.0),
        loads=sum(not other.is_served for other in first) + must_load + cuts * (len(rivals) + 1),
    )


def rest_seconds(pace: Pace, elapsed: float) -> float:
    """
    How long a job still runs.

    One that has run for longer than usual is expected to end soon, but who knows: a
    deviation, and a tenth of the mean at least.
    """
    return max(pace.mean - elapsed, min(pace.deviation, pace.mean), pace.mean / 10)


def _free_after(rests: Sequence[float], slots: int, place: int, *, is_switch: bool) -> float:
    """
    How long until this slot is free, counted in the order in which they become so.

    Args:
        is_switch: Another model comes: what runs must have ended first.
    """
    if is_switch:
        return max(rests, default=0.0)
    return sorted([*([0.0] * (slots - len(rests))), *rests])[place]


def _turn_of(other: OtherModel, slots: int, affinity_seconds: float) -> float:
    """What the turn of another model takes, its load included unless it is served already."""
    longest = turn_seconds(affinity_seconds, other.pace.load)
    work = other.jobs * other.pace.mean / slots
    return min(work, longest) + (0.0 if other.is_served else other.pace.load)
