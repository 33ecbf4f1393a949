"""The parent's director: what it reads, and which queues it lets its worker ask for."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import redis

from jobs.answers import Answers, answer_commands
from jobs.pauses import PAUSED_KEY
from jobs.round_trips import by_client
from jobs.scheduling.turns import NOTICE_SECONDS
from jobs.workers import InstalledModel, WorkerReport, report_worker
from tasks import queue_order
from tests.support.lined_up import line_up
from worker import turns
from worker.turns import AWAY_SECONDS, LOOK_SECONDS, TurnDirector, TurnStep

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
QUEUES = ["celery", "ollama.alpha", "ollama.beta"]


class Clock:
    """Both clocks of the director."""

    def __init__(self) -> None:
        self.now = NOW.timestamp()

    def time(self) -> float:
        return self.now

    monotonic = time


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(turns, "time", made)
    return made


@pytest.fixture
def director(redis_client: Any, clock: Clock) -> TurnDirector:
    return TurnDirector(redis_client, "w1@gpu", 30.0)


def _report(client: Any, *loaded: str, healthy: bool = True) -> None:
    models = [InstalledModel(name, is_loaded=name in loaded) for name in ("alpha", "beta")]
    report_worker(client, WorkerReport("w1@gpu", "h", "u", healthy, 4, 0.0, models=models))


def _answer(client: Any, model: str, at: float, load_seconds: float | None = None) -> None:
    loads = {} if load_seconds is None else {model: load_seconds}
    by_client(client)(answer_commands("w1@gpu", Answers({model: at}, loads)))


def _line_up(client: Any, model: str, *, due_in: float = 150.0, submitted: int = 5) -> None:
    line_up(client, model, 5, f"{model}{due_in}", NOW + timedelta(seconds=due_in), submitted=submitted)


def test_an_idle_worker_asks_for_everything(director: TurnDirector) -> None:
    """The intake first."""
    assert director.groups(QUEUES, []) == [["celery"], ["ollama.alpha", "ollama.beta"]]


def test_a_turn_and_its_end(director: TurnDirector, redis_client: Any, clock: Clock) -> None:
    """While it lasts its queue comes first; when it is over the other's."""
    _line_up(redis_client, "alpha")
    _line_up(redis_client, "beta", due_in=100.0)
    assert director.groups(QUEUES, []) == [["celery"], ["ollama.beta"], ["ollama.alpha"]]
    director.sent("ollama.alpha")
    _answer(redis_client, "alpha", clock.now)
    clock.now += 29
    assert director.groups(QUEUES, ["ollama.alpha"])[1:] == [["ollama.alpha"], ["ollama.beta"]]
    clock.now += 1
    assert director.groups(QUEUES, ["ollama.alpha"])[1:] == [["ollama.beta"], ["ollama.alpha"]]


def test_a_message_of_the_intake_begins_no_turn(director: TurnDirector) -> None:
    """It belongs to no model: the gate stays open for all."""
    director.sent("celery")
    assert director.groups(QUEUES, []) == [["celery"], ["ollama.alpha", "ollama.beta"]]


def test_the_gate_opens_with_an_answer(director: TurnDirector, redis_client: Any, clock: Clock) -> None:
    """Until then only the new model is asked for, besides the intake."""
    director.sent("ollama.alpha")
    _answer(redis_client, "alpha", clock.now)
    director.groups(QUEUES, ["ollama.alpha"])
    clock.now += 1
    director.sent("ollama.beta")
    _line_up(redis_client, "alpha")
    running = ["ollama.alpha", "ollama.beta", "celery"]
    assert director.groups(QUEUES, running) == [["celery"], ["ollama.beta"]]
    clock.now += 1
    _answer(redis_client, "beta", clock.now)
    assert director.groups(QUEUES, running)[1:] == [["ollama.alpha"], ["ollama.beta"]]


def test_the_gate_opens_when_the_job_ends_in_any_way(director: TurnDirector, clock: Clock) -> None:
    """A void message, an error, a lost child: none of its jobs is out any more."""
    director.sent("ollama.beta")
    assert director.groups(QUEUES, ["ollama.beta"])[1:] == [["ollama.beta"]]
    clock.now += 1
    assert director.groups(QUEUES, [])[1:] == [["ollama.beta"], ["ollama.alpha"]]


def test_more_may_be_sent_than_runs_at_once(director: TurnDirector, redis_client: Any, clock: Clock) -> None:
    """While the turn goes on: not during a load, not right before another model's turn, not in an outage."""
    assert not director.may_overlap()
    director.sent("ollama.alpha")
    assert not director.may_overlap()
    _line_up(redis_client, "alpha")
    _answer(redis_client, "alpha", clock.now)
    director.groups(QUEUES, ["ollama.alpha"])
    assert director.may_overlap()
    _line_up(redis_client, "beta")
    clock.now += 30 - NOTICE_SECONDS - LOOK_SECONDS
    director.groups(QUEUES, ["ollama.alpha"])
    assert director.may_overlap()
    clock.now += 2 * LOOK_SECONDS
    assert not director.may_overlap()
    redis_client.sadd(PAUSED_KEY, "beta")
    director.groups(QUEUES, ["ollama.alpha"])
    assert director.may_overlap()
    clock.now += LOOK_SECONDS
    _report(redis_client, healthy=False)
    director.groups(QUEUES, ["ollama.alpha"])
    assert not director.may_overlap()


def test_a_paused_queue_is_left_out(director: TurnDirector, redis_client: Any, clock: Clock) -> None:
    """From the next look on, until it is resumed."""
    _line_up(redis_client, "alpha")
    redis_client.sadd(PAUSED_KEY, "alpha")
    assert director.groups(QUEUES, []) == [["celery"], ["ollama.beta"]]
    redis_client.srem(PAUSED_KEY, "alpha")
    clock.now += LOOK_SECONDS
    assert director.groups(QUEUES, [])[1:] == [["ollama.alpha"], ["ollama.beta"]]


def test_while_ollama_is_away_only_the_intake_goes_on(
    director: TurnDirector, redis_client: Any, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """And everything as soon as its keeper reports that it answers."""
    _report(redis_client, healthy=False)
    assert director.groups(QUEUES, []) == [["celery"]]
    clock.now += LOOK_SECONDS
    _report(redis_client)
    assert director.groups(QUEUES, []) == [["celery"], ["ollama.alpha", "ollama.beta"]]
    assert [record.message for record in caplog.records] == [
        "Ollama is away: jobs wait for it",
        "Ollama answers",
    ]


def test_models_that_were_loaded_together_share_a_turn(
    director: TurnDirector, redis_client: Any, clock: Clock
) -> None:
    """As the keeper has seen them in /api/ps."""
    _report(redis_client, "alpha", "beta")
    _line_up(redis_client, "alpha")
    _line_up(redis_client, "beta", due_in=100.0)
    assert director.groups(QUEUES, []) == [["celery"], ["ollama.beta", "ollama.alpha"]]
    director.sent("ollama.beta")
    _answer(redis_client, "beta", clock.now)
    clock.now += LOOK_SECONDS
    director.sent("ollama.alpha")
    assert director.groups(QUEUES, ["ollama.alpha"]) == [["celery"], ["ollama.beta", "ollama.alpha"]]


def test_a_slow_load_makes_a_long_turn(director: TurnDirector, redis_client: Any, clock: Clock) -> None:
    """Ten times what it took."""
    _answer(redis_client, "alpha", clock.now, load_seconds=6.0)
    _line_up(redis_client, "alpha")
    _line_up(redis_client, "beta", due_in=100.0)
    director.groups(QUEUES, [])
    director.sent("ollama.alpha")
    _answer(redis_client, "alpha", clock.now)
    clock.now += 59
    assert director.groups(QUEUES, ["ollama.alpha"])[1] == ["ollama.alpha"]
    clock.now += 1
    assert director.groups(QUEUES, ["ollama.alpha"])[1] == ["ollama.beta"]


def test_it_looks_no_more_often_than_it_must(director: TurnDirector, redis_client: Any, clock: Clock) -> None:
    """A worker of short jobs asks for one many times a second."""
    director.groups(QUEUES, [])
    redis_client.sadd(PAUSED_KEY, "alpha", "beta")
    clock.now += LOOK_SECONDS / 2
    assert len(director.groups(QUEUES, [])) == 2
    clock.now += LOOK_SECONDS / 2
    assert director.groups(QUEUES, []) == [["celery"]]


def test_without_redis_it_knows_what_it_knew(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """And tries again a second later, since the parent stands still meanwhile."""
    nobody = redis.Redis.from_url("unix:///tmp/no-such-valkey.sock")
    tries: list[int] = []
    pipeline = nobody.pipeline

    def count(**given: Any) -> Any:
        tries.append(1)
        return pipeline(**given)

    monkeypatch.setattr(nobody, "pipeline", count)
    director = TurnDirector(nobody, "w1@gpu", 30.0)
    for _ in range(3):
        assert director.groups(QUEUES, []) == [["celery"], ["ollama.alpha", "ollama.beta"]]
        clock.now += AWAY_SECONDS / 2
    assert len(tries) == 2


def test_a_worker_is_directed_from_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before its consumer asks for the first job."""
    monkeypatch.setattr(queue_order, "director", None)
    TurnStep(SimpleNamespace(hostname="w1@gpu", steps=[]))
    assert isinstance(queue_order.director, TurnDirector)
