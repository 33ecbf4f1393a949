"""
The fairness window: how many of a key's jobs stand in the queue, where they are served by due time.

A *line* is what one key has for one model at one priority. What is lined up in the queue
is served in the order of its due times; the rest is held back in the database. A key that
is alone with a model lines up many; while another key waits for the same model, each key
lines up few, so that whoever comes stands behind a window of each key and not behind a flood.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

WINDOW_SLOTS = 2  # a window is so many times the slots: while one set runs, the next is lined up
COOL_DOWN_SECONDS = 60.0  # one that comes again within this time finds the others' windows still short


@dataclass(frozen=True, order=True)
class Line:
    """One key's jobs for one model at one submitted level."""

    model: str
    key_id: str
    priority: int


@dataclass(frozen=True)
class Waiting:
    """What waits in a line: how many are lined up, whether any are held back, and how many run beside it."""

    lined_up: int = 0
    is_held: bool = False
    running: int = 0


def window_size(slots: int, fair_window: int | None) -> int:
    """
    How many jobs a line may have in the queue and running while another key waits for the same model.

    Args:
        slots: That serve the model, on all workers.
        fair_window: The operator's choice; None: by the slots.
    """
    return fair_window or WINDOW_SLOTS * max(1, slots)


def shared_models(lines: Iterable[Line]) -> set[str]:
    """The models for which more than one key waits."""
    keys: dict[str, set[str]] = {}
    for line in lines:
        keys.setdefault(line.model, set()).add(line.key_id)
    return {model for model, waiting in keys.items() if len(waiting) > 1}


class Sharing:
    """
    Remembers for a while which models were shared.

    A key that sends a job now and then would otherwise find the other one's whole line-up
    in front of it each time.
    """

    def __init__(self, cool_down_seconds: float = COOL_DOWN_SECONDS) -> None:
        self._cool_down_seconds = cool_down_seconds
        self._until: dict[str, float] = {}

    def observe(self, lines: Iterable[Line], now: float) -> set[str]:
        """
        The models that are shared now, or were a short while ago.

        Args:
            now: Seconds of any clock that only goes forward.
        """
        self._until = {model: until for model, until in self._until.items() if until > now}
        self._until |= dict.fromkeys(shared_models(lines), now + self._cool_down_seconds)
        return set(self._until)


def limit_of(line: Line, waiting: Waiting, shared: Collection[str], *, line_up: int, window: int) -> int:
    """
    How many jobs of a line may be lined up.

    What runs is a part of the window: whoever comes waits for it as well. One is lined up
    all the same, or a slot would stand still until the next is released.
    """
    return min(line_up, max(1, window - waiting.running)) if line.model in shared else line_up


def next_moves(waiting: Mapping[Line, Waiting], limits: Mapping[Line, int]) -> tuple[list[Line], list[Line]]:
    """
    What a sweep has to do.

    Returns:
        The lines of which too much is lined up, and those of which more can be: the most
        urgent first in both.
    """
    by_urgency = sorted(waiting, key=lambda line: (line.priority, line))
    excessive = [line for line in by_urgency if waiting[line].lined_up > limits[line]]
    open_ones = [
        line for line in by_urgency if waiting[line].is_held and waiting[line].lined_up < limits[line]
    ]
    return excessive, open_ones
