"""
Which model's jobs a worker sends to its Ollama next.

A model's *turn* lasts while its queue has jobs, and for a limited time while others
wait: a change of model costs a load. The *gate* sees to it that a change which has
begun is finished: Ollama serves the loaded model's requests past those that wait
for another, so more of the old model would hold the new one up for as long as it came.

Times are seconds since the epoch.
"""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

NOTICE_SECONDS = 1.0  # before a turn's end nothing is sent that would have to run first
LOADS_A_TURN = 10  # a turn lasts at least so many loads: loading takes a tenth of the time at most


@dataclass(frozen=True)
class Waiting:
    """
    What a model's queue holds.

    Attributes:
        due_at: Of the job that is due first.
        level: The most urgent level that one of them was submitted at; ageing does not change it.
    """

    due_at: float
    level: int


@dataclass(frozen=True)
class Turn:
    """The model that is served now, and those that Ollama holds together with it."""

    model: str
    models: frozenset[str]
    began_at: float
    seconds: float  # it may last so long while other models wait


@dataclass(frozen=True)
class Gate:
    """Closed by the first job of another model."""

    model: str
    closed_at: float

    def is_open(self, running: Collection[str], answered_at: Mapping[str, float]) -> bool:
        """
        Whether the change of model is over: the model has answered, or none of its jobs runs any more.

        Args:
            running: The models of the jobs that are out.
            answered_at: When each model last sent a piece of an answer.
        """
        return self.model not in running or answered_at.get(self.model, 0.0) >= self.closed_at


def turn_seconds(affinity_seconds: float, load_seconds: float) -> float:
    """How long a turn may last while other models wait."""
    return max(affinity_seconds, LOADS_A_TURN * load_seconds)


def next_turn(turn: Turn | None, waiting: Mapping[str, Waiting], now: float) -> str | None:
    """
    The model whose jobs go out next; None when nothing waits.

    Without a turn, or with its queue empty, it is the model whose oldest job is due first.
    A turn ends early for a job that was submitted at a more urgent level than all that it
    holds, and is due before them. Aged jobs are not enough, or ageing would undo the turns;
    and an urgent one that is due later is not either, or a stream of them would hold back
    for ever what has waited its time. A turn that has lasted its time ends for the oldest
    job that is as urgent, or due before what it holds.
    """
    if not waiting:
        return None
    held = [waiting[model] for model in turn.models if model in waiting] if turn else []
    if turn is None or not held:
        return _due_first(waiting)
    due_at, level = min(one.due_at for one in held), min(one.level for one in held)
    others = {model: one for model, one in waiting.items() if model not in turn.models}
    is_over = now - turn.began_at >= turn.seconds
    rivals = {
        model: one
        for model, one in others.items()
        if (one.level < level and one.due_at < due_at)
        or (is_over and (one.level <= level or one.due_at < due_at))
    }
    return _due_first(rivals) if rivals else turn.model


def _due_first(waiting: Mapping[str, Waiting]) -> str:
    return by_due_time(waiting, waiting)[0]


class Turns:
    """
    One worker's turns.

    Args:
        affinity_seconds: How long a turn lasts while other models wait, unless loads are slow.
        together: The models that Ollama holds at the same time as this one, itself included.
        load_seconds: How long a model's last load took; 0 where not known.
    """

    def __init__(
        self,
        affinity_seconds: float,
        together: Callable[[str], frozenset[str]] = lambda model: frozenset({model}),
        load_seconds: Callable[[str], float] = lambda model: 0.0,
    ) -> None:
        self._affinity_seconds = affinity_seconds
        self._together = together
        self._load_seconds = load_seconds
        self.turn: Turn | None = None
        self.gate: Gate | None = None
        self._last: str | None = None  # whose turn it was last: Ollama may still hold it

    def order(
        self,
        models: Collection[str],
        waiting: Mapping[str, Waiting],
        *,
        running: Collection[str],
        answered_at: Mapping[str, float],
        now: float,
    ) -> list[list[str]]:
        """
        From which of these models the next job may be taken.

        Args:
            models: Those that may be served; a paused one is not among them.
            waiting: What is known to wait; other queues may get their first job at any moment.
            running: The models of the jobs that are out, one each.
            answered_at: When each model last sent a piece of an answer.

        Returns:
            Groups; a job of a later group only where all before have none. Within a group the level decides.
        """
        if self.gate is not None and self.gate.is_open(running, answered_at):
            self.gate = None
        if self.gate is not None:
            return [[model] for model in models if model == self.gate.model]
        waiting = {model: waiting[model] for model in models if model in waiting}
        if self.turn is not None:
            # Both may have become known since it began: what fits beside it, and how slow its load was.
            self.turn = self._begin(self.turn.model, self.turn.began_at)
        chosen = next_turn(self.turn, waiting, now)
        if chosen is None and not running:
            self.turn = None  # idle: whatever comes first begins a new one
        leading = chosen or self._last
        first = self._together(leading) & set(models) if leading else frozenset()
        if self.turn is not None and chosen in self.turn.models:
            first = self.turn.models & set(models)
        groups = (
            # The level decides inside a group, and then who stands first in it.
            by_due_time(waiting, first),
            *([model] for model in by_due_time(waiting, waiting.keys() - first)),
            sorted(model for model in models if model not in first and model not in waiting),
        )
        return [group for group in groups if group]

    def may_overlap(self, waiting: Mapping[str, Waiting], now: float) -> bool:
        """
        Whether more may be sent than runs at once: the turn goes on, and no change of model is under way.

        Args:
            waiting: As in `order`, of models that may be served.
        """
        if self.turn is None or self.gate is not None:
            return False
        following = next_turn(self.turn, waiting, now + NOTICE_SECONDS)
        return following is None or following in self.turn.models

    def sent(self, model: str, now: float) -> None:
        """A job of this model went out: it may begin the model's turn, and close the gate behind it."""
        if self.turn is not None and model in self.turn.models:
            return
        self.turn = self._begin(model, now)
        if self._last is None or model not in self._together(self._last):
            self.gate = Gate(model, now)
        self._last = model

    def _begin(self, model: str, at: float) -> Turn:
        models = self._together(model)
        load_seconds = max(self._load_seconds(one) for one in models)
        return Turn(model, models, at, turn_seconds(self._affinity_seconds, load_seconds))


def by_due_time(waiting: Mapping[str, Waiting], models: Collection[str]) -> list[str]:
    """The model with the oldest job first; those of which nothing waits come last."""
    return sorted(models, key=lambda model: (waiting[model].due_at if model in waiting else math.inf, model))
