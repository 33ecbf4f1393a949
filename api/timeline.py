"""A job's timeline as text: a bar to scale, and a line for each thing that happened."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from jobs.history import (
    ATTEMPT_FAILED,
    CLAIMED,
    FIRST_TOKEN,
    HANDED_BACK,
    MODEL_LOADED,
    PRIORITY_CHANGED,
    PUBLISHED,
    WORKER_LOST,
    Moment,
    Span,
    spans,
)

WIDTH = 60
_MARKS = {"waiting": "░", "loading": "▒", "running": "█"}
_SENTENCES = {
    PUBLISHED: "published, message {publication}",
    CLAIMED: "claimed by {worker}, run {claim}",
    MODEL_LOADED: "model loaded, after {seconds:.2f} s",
    FIRST_TOKEN: "first token, after {seconds:.2f} s",
    ATTEMPT_FAILED: "attempt failed: {code}: {message}",
    WORKER_LOST: "run {claim} lost: {message}",
    HANDED_BACK: "handed back by {worker}, run {claim}: {reason}",
    PRIORITY_CHANGED: "priority changed from {from} to {to}",
}


def draw_timeline(moments: Sequence[Moment], now: datetime) -> Iterator[str]:
    """The lines of the picture; what lasts is drawn up to `now`."""
    stretches = spans(moments)
    yield draw_bar(stretches, now)
    yield "  ".join(
        f"{mark} {name} {seconds:.2f} s"
        for name, mark in _MARKS.items()
        if (seconds := sum(_seconds(span, now) for span in stretches if span.name == name))
    )
    began_at = moments[0].at
    for moment in moments:
        yield f"{moment.at:%H:%M:%S} {(moment.at - began_at).total_seconds():+10.3f} s  {describe(moment)}"


def draw_bar(stretches: Sequence[Span], now: datetime, width: int = WIDTH) -> str:
    """One character for each part of the whole time; whatever was there at all gets one at least."""
    total = sum(_seconds(span, now) for span in stretches)
    if not total:
        return _MARKS[stretches[-1].name] if stretches else ""
    parts = (
        _MARKS[span.name] * max(1, round(width * _seconds(span, now) / total))
        for span in stretches
        if _seconds(span, now)
    )
    return "".join(parts)


def describe(moment: Moment) -> str:
    """One line."""
    sentence = _SENTENCES.get(moment.event)
    if sentence is not None:
        return sentence.format(**moment.detail)
    return f"{moment.event}{_reason(moment.detail)}"


def _reason(detail: dict[str, Any]) -> str:
    return f": {detail['code']}: {detail.get('message')}" if detail.get("code") else ""


def _seconds(span: Span, now: datetime) -> float:
    return max(0.0, ((span.ended_at or now) - span.began_at).total_seconds())
