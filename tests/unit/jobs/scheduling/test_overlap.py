"""The overlap: how many jobs may wait inside Ollama."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.scheduling import Overlap, most_overlap
from jobs.scheduling.overlap import CAUTIOUS_SECONDS, FRESH_SECONDS, LONG_SECONDS, ROUNDS, SHORT_SECONDS

SLOTS = 4
ENOUGH = ROUNDS * SLOTS
A_SHORT_TIME = 0.05


def _after(*lengths: float, slots: int = SLOTS) -> tuple[Overlap, float]:
    """A worker that has run jobs of these lengths, one after the other, and what time it is."""
    overlap, now = Overlap(slots), 0.0
    for number, length in enumerate(lengths):
        overlap.sent(f"past {number}", "q", now)
        now += length
        overlap.ended(f"past {number}", now)
    return overlap, now


def _busy() -> tuple[Overlap, float]:
    """All slots run a job, after as many short ones as it takes."""
    overlap, now = _after(*[A_SHORT_TIME] * ENOUGH)
    assert [overlap.sent(f"now {number}", "q", now) for number in range(SLOTS)] == [False] * SLOTS
    return overlap, now


@pytest.mark.parametrize(("slots", "most"), [(1, 1), (2, 1), (3, 2), (4, 3), (5, 4), (16, 4), (512, 4)])
def test_fewer_wait_than_run(slots: int, most: int) -> None:
    """But for a single slot, which has one; each is a process, so there are never many."""
    assert most_overlap(slots) == most


@pytest.mark.parametrize(
    ("lengths", "room"),
    [
        ([], 0),
        ([A_SHORT_TIME] * (ENOUGH - 1), 0),
        ([A_SHORT_TIME] * ENOUGH, 3),
        ([SHORT_SECONDS - 0.01] * ENOUGH, 3),
        ([SHORT_SECONDS + 0.01] * ENOUGH, 0),
        ([A_SHORT_TIME] * (ENOUGH - 1) + [1.0], 0),
        ([1.0] + [A_SHORT_TIME] * ENOUGH, 3),
    ],
    ids=["nothing known", "too few", "short", "barely short", "barely not", "the last was long", "long ago"],
)
def test_the_last_jobs_decide(lengths: list[float], room: int) -> None:
    """As many as two in each slot, all of them short."""
    overlap, now = _after(*lengths)
    assert overlap.room(now) == room


def test_what_ended_long_ago_says_nothing() -> None:
    """After a pause the next jobs may be of any length."""
    overlap, now = _after(*[A_SHORT_TIME] * ENOUGH)
    assert overlap.room(now + FRESH_SECONDS / 2)
    assert not overlap.room(now + FRESH_SECONDS + 0.1)


def test_a_long_one_that_runs_ends_it_at_once() -> None:
    """Its end need not be awaited."""
    overlap, now = _busy()
    assert overlap.room(now + SHORT_SECONDS - 0.01)
    assert not overlap.room(now + SHORT_SECONDS + 0.01)


def test_who_waits_runs_from_the_end_of_another_on() -> None:
    """In their order; its wait does not make a job long."""
    overlap, now = _busy()
    assert overlap.sent("first", "q", now)
    assert overlap.sent("second", "q", now)
    for number in range(SLOTS):
        overlap.ended(f"now {number}", now + 0.1)
    now += 0.1
    assert overlap.room(now + SHORT_SECONDS - 0.01)
    overlap.ended("first", now + 0.1)
    overlap.ended("second", now + 0.1)
    assert overlap.room(now + 0.1)


def test_a_free_slot_is_nobodys_wait() -> None:
    """While fewer are out than there are slots, what is sent runs."""
    overlap, now = _busy()
    overlap.ended("now 0", now)
    assert not overlap.sent("next", "q", now)
    assert overlap.sent("one more", "q", now)


def test_the_first_one_of_another_model_does_not_overlap() -> None:
    """It waits for its load, as it would with a slot of its own; that is no reason to take it back."""
    overlap, now = _busy()
    assert not overlap.sent("other", "another", now)
    overlap.ended("now 0", now)
    overlap.ended("other", now + 2.0)
    for number in range(1, SLOTS):
        overlap.ended(f"now {number}", now + 2.0)
    now += 2.0
    for number in range(ENOUGH):
        overlap.sent(f"short {number}", "another", now)
        overlap.ended(f"short {number}", now + A_SHORT_TIME)
    assert overlap.room(now + A_SHORT_TIME)


def test_a_long_one_that_waited_inside_ollama_makes_it_cautious() -> None:
    """An urgent job may have met it; the next one shall not for a while."""
    overlap, now = _busy()
    overlap.sent("long", "q", now)
    overlap.ended("now 0", now + A_SHORT_TIME)
    now += 2.0
    overlap.ended("long", now)
    for number in range(ENOUGH):
        overlap.sent(f"short {number}", "q", now)
        overlap.ended(f"short {number}", now + A_SHORT_TIME)
    assert not overlap.room(now + A_SHORT_TIME)
    now += CAUTIOUS_SECONDS
    for number in range(ENOUGH):
        overlap.sent(f"later {number}", "q", now)
        overlap.ended(f"later {number}", now + A_SHORT_TIME)
    for number in range(1, SLOTS):
        overlap.ended(f"now {number}", now)
    assert not overlap.room(now)  # these were long themselves
    for number in range(ENOUGH):
        overlap.sent(f"last {number}", "q", now)
        overlap.ended(f"last {number}", now + A_SHORT_TIME)
    assert overlap.room(now + A_SHORT_TIME)


def test_one_that_was_taken_back_makes_it_cautious() -> None:
    """It had no slot in time: long ones were before it. One that was cancelled soon says nothing."""
    overlap, now = _busy()
    overlap.sent("cancelled", "q", now)
    overlap.ended("cancelled", now + 0.01)
    assert overlap.room(now + 0.01)
    overlap.sent("in vain", "q", now)
    overlap.ended("in vain", now + LONG_SECONDS + 0.01)
    for number in range(SLOTS):
        overlap.ended(f"now {number}", now + LONG_SECONDS)
    late, now = now + LONG_SECONDS, now + LONG_SECONDS
    for number in range(ENOUGH):
        overlap.sent(f"short {number}", "q", now)
        overlap.ended(f"short {number}", now)
    assert not overlap.room(late)


def test_what_was_never_sent_may_end() -> None:
    """A message is acknowledged twice, or came before."""
    overlap, now = _after(*[A_SHORT_TIME] * ENOUGH)
    overlap.ended("past 0", now)
    overlap.ended("nobody", now)
    assert overlap.room(now)


steps = st.lists(st.tuples(st.booleans(), st.floats(0.0, 0.3), st.integers(0, 50)), max_size=80)


@given(st.integers(1, 6), steps)
def test_as_many_run_as_ollama_runs(slots: int, steps: list[tuple[bool, float, int]]) -> None:
    """Whatever ends in whatever order: the first of those that are out, and never one more or less."""
    overlap, now = Overlap(slots), 0.0
    out: list[str] = []
    running: set[str] = set()
    for number, (is_sent, pause, which) in enumerate(steps):
        now += pause
        if is_sent or not out:
            assert overlap.sent(str(number), "q", now) == (len(out) >= slots)
            out.append(str(number))
        else:
            overlap.ended(out.pop(which % len(out)), now)
        running = {tag for tag, job in overlap._out.items() if job.runs_since is not None}
        assert list(overlap._out) == out
        assert len(running) == min(slots, len(out))
        assert overlap.room(now) in (0, most_overlap(slots))


@given(st.lists(st.floats(SHORT_SECONDS + 0.001, 10.0), min_size=1, max_size=ENOUGH), st.integers(0, ENOUGH))
def test_with_one_long_job_among_the_last_there_is_none(long: list[float], place: int) -> None:
    """Wherever it stood among them."""
    lengths = [A_SHORT_TIME] * ENOUGH
    lengths[place:place] = long
    overlap, now = _after(*lengths[-ENOUGH:])
    if any(length > SHORT_SECONDS for length in lengths[-ENOUGH:]):
        assert not overlap.room(now)
