"""
What a worker's children tell their parent, which decides the order of models, about Ollama's answers.

    paddock:answers:<worker>   hash, expires. "answered <model>" → when it last began to answer or to end
                               an answer, seconds since the epoch; "load <model>" → how long its last load
                               took, seconds

Times are of the machine that both run on.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from jobs.round_trips import Command

EXPIRE_SECONDS = 24 * 3600
LEAST_LOAD_SECONDS = 0.1  # Ollama reports some time for a model that is loaded already, too
_KEY_PREFIX = "paddock:answers:"
_ANSWERED, _LOAD = "answered ", "load "


@dataclass
class Answers:
    """What is known, by model."""

    answered_at: dict[str, float] = field(default_factory=dict)
    load_seconds: dict[str, float] = field(default_factory=dict)

    def fields(self) -> dict[str, float]:
        """As the hash has them."""
        answered = {_ANSWERED + model: at for model, at in self.answered_at.items()}
        return answered | {_LOAD + model: seconds for model, seconds in self.load_seconds.items()}

    @classmethod
    def from_fields(cls, values: Mapping[str, str]) -> "Answers":
        found = cls()
        for name, value in values.items():
            kind, _, model = name.partition(" ")
            (found.answered_at if kind == _ANSWERED.strip() else found.load_seconds)[model] = float(value)
        return found


def answers_key(worker: str) -> str:
    """Where a worker's children write."""
    return _KEY_PREFIX + worker


def answer_commands(worker: str, answers: Answers) -> list[Command]:
    """What writes them, if there are any."""
    key, fields = answers_key(worker), answers.fields()
    if not fields:
        return []
    pairs = [part for field in fields.items() for part in field]
    return [("HSET", key, *pairs), ("EXPIRE", key, EXPIRE_SECONDS)]
