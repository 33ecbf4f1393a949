"""Turns and the gate: whose jobs go out next."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.scheduling import Gate, Turn, Turns, Waiting, next_turn
from jobs.scheduling.turns import NOTICE_SECONDS, turn_seconds

NOW = 1000.0
A_TURN = Turn("a", frozenset("a"), began_at=NOW - 10, seconds=30)
OVER = Turn("a", frozenset("a"), began_at=NOW - 30, seconds=30)


def _waiting(**models: tuple[float, int]) -> dict[str, Waiting]:
    return {model: Waiting(*values) for model, values in models.items()}


# --- whose turn it is -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("turn", "waiting", "model"),
    [
        (None, {}, None),
        (A_TURN, {}, None),
        (None, _waiting(a=(20, 5), b=(10, 5)), "b"),
        (A_TURN, _waiting(a=(20, 5), b=(10, 5)), "a"),
        (A_TURN, _waiting(b=(20, 5), c=(10, 5)), "c"),
        (OVER, _waiting(a=(20, 5), b=(30, 5)), "b"),
        (OVER, _waiting(a=(20, 5), b=(30, 5), c=(25, 5)), "c"),
        (OVER, _waiting(a=(20, 5)), "a"),
        (OVER, _waiting(a=(20, 0), b=(30, 9)), "a"),
        (OVER, _waiting(a=(20, 0), b=(10, 9)), "b"),
        (A_TURN, _waiting(a=(20, 5), b=(10, 0)), "b"),
        (A_TURN, _waiting(a=(20, 5), b=(30, 0)), "a"),
        (A_TURN, _waiting(a=(20, 0), b=(10, 0)), "a"),
        (A_TURN, _waiting(a=(20, 9), b=(10, 2), c=(5, 9)), "b"),
    ],
    ids=[
        "nothing waits",
        "nothing waits in a turn",
        "without a turn: the oldest",
        "a turn goes on past an older job",
        "an empty queue ends a turn: the oldest",
        "a turn that is over ends for a younger job",
        "and of several for the oldest",
        "nobody else: it goes on",
        "less urgent and due later does not end it",
        "less urgent and due first does",
        "a more urgent job that is due first ends it early",
        "one that is due later does not",
        "as urgent is not more urgent",
        "an aged one does not, the urgent one does",
    ],
)
def test_whose_turn_it_is(turn: Turn | None, waiting: dict[str, Waiting], model: str | None) -> None:
    """Every rule once."""
    assert next_turn(turn, waiting, NOW) == model


models = st.sampled_from("abcd")
queues = st.dictionaries(models, st.builds(Waiting, st.floats(0, 100), st.integers(0, 9)), min_size=1)


@given(queues)
def test_without_a_turn_the_oldest_job_is_first(waiting: dict[str, Waiting]) -> None:
    """Whatever its level: ageing is in its due time."""
    chosen = next_turn(None, waiting, NOW)
    assert chosen is not None
    assert waiting[chosen].due_at == min(one.due_at for one in waiting.values())


@given(queues, st.floats(0, 100))
def test_something_is_served_whenever_something_waits(waiting: dict[str, Waiting], began_ago: float) -> None:
    """Of the turn's models or of those that wait, never of one without jobs."""
    turn = Turn("a", frozenset("ab"), NOW - began_ago, 30.0)
    chosen = next_turn(turn, waiting, NOW)
    assert chosen in waiting or (chosen in turn.models and turn.models & waiting.keys())


@pytest.mark.parametrize(("affinity", "load", "turn"), [(30, 0, 30), (30, 3, 30), (30, 20, 200), (0, 0, 0)])
def test_a_turn_lasts_at_least_ten_loads(affinity: float, load: float, turn: float) -> None:
    """Or loading would be most of what Ollama does."""
    assert turn_seconds(affinity, load) == turn


# --- the gate ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("running", "answered_at", "is_open"),
    [
        (["b"], {}, False),
        (["a", "b"], {"a": NOW + 1}, False),
        (["b"], {"b": NOW - 1}, False),
        (["b"], {"b": NOW + 1}, True),
        (["a"], {}, True),
        ([], {}, True),
    ],
    ids=[
        "no answer yet",
        "the old model's answers",
        "an answer from before",
        "answered",
        "ended",
        "all ended",
    ],
)
def test_when_a_change_is_over(running: list[str], answered_at: dict[str, float], is_open: bool) -> None:
    """When the new model has answered, or none of its jobs is out any more."""
    assert Gate("b", NOW).is_open(running, answered_at) is is_open


# --- a worker's turns -------------------------------------------------------------------------------


def _order(turns: Turns, waiting: dict[str, Waiting], now: float = NOW, **state: object) -> list[list[str]]:
    values: dict[str, object] = {"running": [], "answered_at": {}, **state}
    return turns.order(["a", "b", "c"], waiting, now=now, **values)  # type: ignore[arg-type]


def test_an_idle_worker_takes_whatever_comes_first() -> None:
    """All queues are asked at once, and the level decides."""
    assert _order(Turns(30.0), {}) == [["a", "b", "c"]]


def test_in_a_turn_the_others_come_only_when_its_queue_is_empty() -> None:
    """In the order of their oldest jobs; and nobody has to look again to see that it is empty."""
    turns = Turns(30.0)
    turns.sent("b", NOW)
    waiting = _waiting(a=(20, 5), b=(30, 5), c=(10, 5))
    assert _order(turns, waiting, running=["b"], answered_at={"b": NOW}) == [["b"], ["c"], ["a"]]


def test_a_change_of_model_is_finished_before_it_is_undone() -> None:
    """Until the new model answers no other is sent."""
    turns = Turns(30.0)
    turns.sent("a", NOW)
    turns.sent("b", NOW + 1)
    waiting = _waiting(a=(20, 0), b=(30, 5))
    assert _order(turns, waiting, running=["a", "b"], answered_at={"a": NOW + 2}) == [["b"]]
    assert _order(turns, waiting, running=["b"], answered_at={"b": NOW + 2})[0] == ["a"]


def test_the_gate_of_a_model_that_may_not_be_served_admits_nobody() -> None:
    """A queue that is paused in the middle of a change."""
    turns = Turns(30.0)
    turns.sent("b", NOW)
    order = turns.order(["a"], _waiting(a=(1, 5)), running=["b"], answered_at={}, now=NOW)
    assert order == []


def test_models_that_fit_together_share_a_turn() -> None:
    """No gate between them, and the one with the oldest job stands first."""
    pair = frozenset("ab")
    turns = Turns(30.0, together=lambda model: pair if model in pair else frozenset({model}))
    turns.sent("a", NOW)
    turns.sent("b", NOW)
    waiting = _waiting(a=(20, 5), b=(10, 5), c=(5, 5))
    assert _order(turns, waiting, running=["a", "b"], answered_at={"a": NOW}) == [["b", "a"], ["c"]]


@pytest.mark.parametrize(
    ("waiting", "passed", "may"),
    [
        ({}, 0, True),
        (_waiting(a=(20, 5)), 100, True),
        (_waiting(a=(20, 5), b=(30, 5)), 30 - NOTICE_SECONDS - 0.1, True),
        (_waiting(a=(20, 5), b=(30, 5)), 30 - NOTICE_SECONDS, False),
        (_waiting(a=(20, 0), b=(30, 9)), 100, True),
        (_waiting(a=(20, 5), b=(10, 0)), 0, False),
        (_waiting(b=(20, 5)), 0, False),
    ],
    ids=[
        "nothing waits",
        "nobody else",
        "it goes on",
        "it is about to end",
        "another's jobs are less urgent: it goes on",
        "a more urgent job ends it",
        "its queue is empty",
    ],
)
def test_nothing_is_sent_ahead_of_a_change_of_model(
    waiting: dict[str, Waiting], passed: float, may: bool
) -> None:
    """What overlaps would have to run before the other model's load."""
    turns = Turns(30.0)
    turns.sent("a", NOW)
    _order(turns, {}, running=["a"], answered_at={"a": NOW})
    assert turns.may_overlap(waiting, NOW + passed) is may


def test_nothing_is_sent_ahead_without_a_turn_or_behind_the_gate() -> None:
    """What has to wait for a load can wait where priority reaches it."""
    turns = Turns(30.0)
    assert not turns.may_overlap({}, NOW)
    turns.sent("a", NOW)
    assert not turns.may_overlap({}, NOW)


def test_a_worker_without_work_begins_a_new_turn() -> None:
    """Or a turn that began long ago would be over as soon as somebody else comes."""
    turns = Turns(30.0)
    turns.sent("a", NOW)
    assert _order(turns, {}, now=NOW + 100, answered_at={"a": NOW})[0] == ["a"]
    turns.sent("a", NOW + 100)
    assert turns.turn is not None
    assert turns.turn.began_at == NOW + 100
    assert turns.gate is None  # Ollama still has it


def test_a_turn_goes_on_while_its_jobs_run() -> None:
    """A slot that is free for a moment is no new beginning."""
    turns = Turns(30.0)
    turns.sent("a", NOW)
    _order(turns, {}, running=["a"], answered_at={"a": NOW})
    turns.sent("a", NOW + 20)
    assert turns.turn is not None
    assert turns.turn.began_at == NOW


def test_a_slow_load_makes_a_long_turn() -> None:
    """As measured the last time; the first turn of all learns it while it lasts."""
    known = {"a": 0.0}
    turns = Turns(30.0, load_seconds=lambda model: known[model])
    turns.sent("a", NOW)
    known["a"] = 8.0
    waiting = _waiting(a=(20, 5), b=(10, 5))
    order = [
        _order(turns, waiting, now=now, running=["a"], answered_at={"a": NOW + 8})[0]
        for now in (NOW + 79, NOW + 80)
    ]
    assert order == [["a"], ["b"]]
