"""The picture of a job's timeline."""

from datetime import UTC, datetime, timedelta

import pytest

from api.timeline import describe, draw_bar, draw_timeline
from jobs.history import Moment, Span

BEGAN = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def test_a_bar_is_to_scale() -> None:
    """A tenth of the time is a tenth of the bar; what was short is seen all the same."""
    stretches = [
        Span("waiting", at(0), at(5)),
        Span("loading", at(5), at(5.001)),
        Span("running", at(5.001), None),
    ]
    assert draw_bar(stretches, at(10), width=10) == "░░░░░▒█████"


def test_a_bar_of_no_time_at_all() -> None:
    """One character says what it is."""
    assert draw_bar([Span("waiting", at(0), None)], at(0)) == "░"
    assert draw_bar([], at(0)) == ""


def test_a_job_that_waits_is_drawn_up_to_now() -> None:
    """The wait goes on."""
    bar, legend, line = draw_timeline([Moment(at(0), "submitted")], at(7))
    assert set(bar) == {"░"}
    assert legend == "░ waiting 7.00 s"
    assert line == "12:00:00     +0.000 s  submitted"


@pytest.mark.parametrize(
    ("event", "detail", "sentence"),
    [
        (
            "worker_lost",
            {"worker": "w1", "claim": 2, "code": "x", "message": "y"},
            "run 2 lost: y",
        ),
        (
            "handed_back",
            {"worker": "w1", "claim": 1, "reason": "drain"},
            "handed back by w1, run 1: drain",
        ),
        ("priority_changed", {"from": 5, "to": 0}, "priority changed from 5 to 0"),
        ("first_token", {"seconds": 1.0}, "first token, after 1.00 s"),
        ("cancelled", {"code": "cancelled", "message": "Stop."}, "cancelled: cancelled: Stop."),
        ("retried", {}, "retried"),
    ],
)
def test_a_moment_in_a_sentence(event: str, detail: dict[str, object], sentence: str) -> None:
    """With what it is about."""
    assert describe(Moment(BEGAN, event, dict(detail))) == sentence
