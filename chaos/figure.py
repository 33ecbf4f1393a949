"""A figure that a fault is judged by."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """What was measured beside what is wanted."""

    name: str
    measured: str
    wanted: str
    is_met: bool


def at_most(name: str, measured: float, limit: float, unit: str = "") -> Figure:
    """Met up to and including the limit."""
    return Figure(name, _text(measured) + unit, f"<= {_text(limit)}{unit}", measured <= limit)


def exactly(name: str, measured: object, wanted: object) -> Figure:
    """Met by equality."""
    return Figure(name, str(measured), str(wanted), measured == wanted)


def at_least(name: str, measured: float, limit: float) -> Figure:
    """Met from the limit on: that a run really was what it claims to be."""
    return Figure(name, _text(measured), f">= {_text(limit)}", measured >= limit)


def told(name: str, measured: object) -> Figure:
    """For the reader alone; nothing is demanded of it."""
    return Figure(name, _text(measured) if isinstance(measured, float) else str(measured), "-", True)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that this share of all does not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def _text(number: object) -> str:
    return f"{number:.2f}" if isinstance(number, float) else str(number)
