"""How many of a key's jobs are lined up: the pure part, over arbitrary backlogs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.scheduling.window import (
    Line,
    Sharing,
    Waiting,
    limit_of,
    next_moves,
    shared_models,
    window_size,
)

LINE_UP, WINDOW = 20, 3
LINES = st.builds(
    Line,
    model=st.sampled_from(["alpha", "beta"]),
    key_id=st.sampled_from(["a", "b", "c"]),
    priority=st.sampled_from([0, 5, 9]),
)
# Of each line: how many are lined up, how many are held back.
BACKLOGS = st.dictionaries(LINES, st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=8)


def _waiting(backlog: dict[Line, tuple[int, int]]) -> dict[Line, Waiting]:
    return {line: Waiting(lined_up, held > 0) for line, (lined_up, held) in backlog.items()}


def _limits(backlog: dict[Line, tuple[int, int]]) -> dict[Line, int]:
    shared = shared_models(line for line, counts in backlog.items() if any(counts))
    return {
        line: limit_of(line, waiting, shared, line_up=LINE_UP, window=WINDOW)
        for line, waiting in _waiting(backlog).items()
    }


def _sweep(backlog: dict[Line, tuple[int, int]], *, dies_after: int | None = None) -> None:
    """What a keeper does, as far as it gets."""
    limits = _limits(backlog)
    excessive, open_ones = next_moves(_waiting(backlog), limits)
    for line in [*excessive, *open_ones][:dies_after]:
        lined_up, held = backlog[line]
        lined_now = min(limits[line], lined_up + held)
        backlog[line] = (lined_now, held + lined_up - lined_now)


@given(BACKLOGS)
def test_after_a_sweep_each_line_is_as_long_as_it_may_be(backlog: dict[Line, tuple[int, int]]) -> None:
    """No longer, and shorter only where nothing is held back; no job is lost or doubled."""
    before = {line: sum(counts) for line, counts in backlog.items()}
    limits = _limits(backlog)
    _sweep(backlog)
    assert {line: sum(counts) for line, counts in backlog.items()} == before
    for line, (lined_up, held) in backlog.items():
        assert lined_up <= limits[line]
        assert held == 0 or lined_up == limits[line]


@given(BACKLOGS)
def test_a_second_sweep_has_nothing_to_do(backlog: dict[Line, tuple[int, int]]) -> None:
    """A sweep does not undo itself: what it released, it does not take back."""
    _sweep(backlog)
    after = dict(backlog)
    _sweep(backlog)
    assert backlog == after


@given(BACKLOGS, st.integers(0, 8))
def test_an_interrupted_sweep_is_made_good_by_the_next(
    backlog: dict[Line, tuple[int, int]], dies_after: int
) -> None:
    """Wherever it died, the result is that of a whole one."""
    whole = dict(backlog)
    _sweep(whole)
    _sweep(backlog, dies_after=dies_after)
    _sweep(backlog)
    assert backlog == whole


@given(BACKLOGS)
def test_only_keys_of_the_same_model_shorten_each_other(backlog: dict[Line, tuple[int, int]]) -> None:
    """Levels of one key share nothing with it, nor do other models' keys."""
    for model in shared_models(backlog):
        assert len({line.key_id for line in backlog if line.model == model}) > 1
    for line, limit in _limits(backlog).items():
        others = [other for other, counts in backlog.items() if any(counts) and other.model == line.model]
        has_rival = len({other.key_id for other in others}) > 1
        assert limit == (WINDOW if has_rival else LINE_UP)


def test_urgent_lines_come_first() -> None:
    """Who has waited at the most urgent level is served before a sweep runs out of moves."""
    lines = [Line("alpha", "a", 9), Line("alpha", "b", 0), Line("alpha", "a", 0)]
    waiting = dict.fromkeys(lines, Waiting(1, True))
    assert next_moves(waiting, dict.fromkeys(lines, 5)) == ([], [lines[2], lines[1], lines[0]])
    assert next_moves(waiting, dict.fromkeys(lines, 1)) == ([], [])
    assert next_moves(waiting, dict.fromkeys(lines, 0)) == ([lines[2], lines[1], lines[0]], [])


def test_the_window_is_twice_the_slots() -> None:
    """Unless an operator chose; a model that no worker serves now has one all the same."""
    assert (window_size(4, None), window_size(0, None), window_size(4, 5)) == (8, 2, 5)


def test_a_window_never_lengthens_a_line() -> None:
    """LINE_UP holds whatever the slots."""
    line = Line("alpha", "a", 5)
    waiting = Waiting(4, True, running=4)
    assert limit_of(line, waiting, {"alpha"}, line_up=4, window=100) == 4
    assert limit_of(line, waiting, {"beta"}, line_up=4, window=2) == 4


@pytest.mark.parametrize(("running", "limit"), [(0, 8), (1, 7), (4, 4), (7, 1), (8, 1), (30, 1)])
def test_what_runs_is_a_part_of_the_window(running: int, limit: int) -> None:
    """A key on all four slots has four more lined up, and never none."""
    line = Line("alpha", "a", 5)
    assert limit_of(line, Waiting(8, True, running), {"alpha"}, line_up=1000, window=8) == limit
    assert limit_of(line, Waiting(8, True, running), set(), line_up=1000, window=8) == 1000


def test_sharing_is_remembered_for_a_while() -> None:
    """A key that comes every second does not meet the other's whole line-up each time."""
    sharing = Sharing(cool_down_seconds=60)
    both = [Line("alpha", "a", 5), Line("alpha", "b", 5)]
    assert sharing.observe(both, 0.0) == {"alpha"}
    assert sharing.observe(both[:1], 59.0) == {"alpha"}
    assert sharing.observe(both[:1], 60.0) == set()
    assert sharing.observe([Line("alpha", "a", 5), Line("beta", "b", 5)], 61.0) == set()
