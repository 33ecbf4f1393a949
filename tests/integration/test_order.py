"""The order of models, with a real worker beside an Ollama that has room for one model."""

import random
import statistics
import time
from collections.abc import Iterator
from typing import Any

import pytest
from celery.result import AsyncResult
from sqlalchemy import select

from jobs.models import IS_RUNNING, Job
from jobs.pauses import pause_queue, resume_queue, tell_workers
from jobs.scheduling.overlap import LONG_SECONDS
from jobs.workers import WorkerReport, live_workers
from tasks import generate
from tests.integration.system import System, Worker, consumed_queues, eventually
from tests.simulator_process import SimulatorProcess

LOAD_SECONDS = 0.2
AFFINITY_SECONDS = 2.0  # ten loads
TOKENS_PER_SECOND = 100.0
SLOTS = 4
OPTIONS = (
    *("--models", "alpha,beta", "--parallel", str(SLOTS), "--max-loaded", "1"),
    *("--load-seconds", str(LOAD_SECONDS), "--tokens-per-second", str(TOKENS_PER_SECOND)),
)


# What decides the order is in Redis and in the worker; what is released is test_fairness.py's.
pytestmark = [pytest.mark.usefixtures("worker"), pytest.mark.alone, pytest.mark.one_database]


@pytest.fixture(scope="module")
def ollama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    """Two models, room for one; a token each 10 ms."""
    process = SimulatorProcess(tmp_path_factory.mktemp("ollama"), *OPTIONS)
    yield process
    process.stop()


@pytest.fixture(scope="module")
def worker(system: System) -> Iterator[Worker]:
    """One worker with short turns."""
    process = system.start_worker("order", slots=SLOTS, PADDOCK_AFFINITY_SECONDS=str(AFFINITY_SECONDS))
    yield process
    process.stop()


def _submit(model: str, tokens: int = 5, priority: int = 5, **options: Any) -> AsyncResult:
    arguments = ("x",), {"model": model, "options": {"num_predict": tokens, **options}}
    return generate.apply_async(*arguments, priority=priority)


def _wait(results: list[AsyncResult]) -> None:
    for result in results:
        result.get(timeout=60)


def _started_at(system: System, result: AsyncResult) -> float:
    return float(system.ollama.started(job=result.id)[0]["at"])


def _running(system: System) -> list[str]:
    with system.database.reading() as session:
        return list(session.scalars(select(Job.id).where(IS_RUNNING)))


def _loads(system: System, results: list[AsyncResult]) -> int:
    ids = {result.id for result in results}
    return sum(1 for line in system.ollama.started() if line["job"] in ids and line["load_seconds"] > 0)


def test_a_random_order_costs_no_more_loads_than_a_sorted_one(system: System) -> None:
    """One for each model."""
    mixed = ["alpha", "beta"] * 30
    random.Random(6).shuffle(mixed)
    system.ollama.control(unload=True)
    results = [_submit(model) for model in mixed]
    _wait(results)
    assert _loads(system, results) == 2


def _waited(system: System, results: list[AsyncResult]) -> list[float]:
    """How long those waited inside Ollama that did, though its model was loaded."""
    starts = [system.ollama.started(job=result.id)[0] for result in results[SLOTS:]]
    return [line["queued_seconds"] for line in starts if line["queued_seconds"] > 0.005]


def test_short_jobs_wait_inside_ollama_for_their_slots(system: System) -> None:
    """The next one is there when a slot becomes free; `bench order` has the figures."""
    results = [_submit("alpha") for _ in range(80)]
    _wait(results)
    waited = _waited(system, results)
    assert len(waited) >= 10
    assert max(waited) <= LONG_SECONDS + 0.1


def test_long_jobs_end_that_at_once(system: System) -> None:
    """What waits inside Ollama behind them is taken back at no cost, and an urgent job goes first."""
    short = [_submit("alpha") for _ in range(60)]
    long = [_submit("alpha", 120) for _ in range(8)]
    _wait(short)
    assert _waited(system, short)
    time.sleep(LONG_SECONDS + 0.3)
    assert len(_running(system)) <= SLOTS
    urgent, asked_at = _submit("alpha", priority=0), time.time()
    _wait([urgent, *long])
    free_at = min(line["at"] for line in system.ollama.ended(outcome="done") if line["at"] >= asked_at)
    assert _started_at(system, urgent) - free_at <= 0.3
    assert {system.job(result.id).attempts for result in long} == {0}


def test_a_model_that_never_stops_holds_another_up_for_a_turn(system: System) -> None:
    """And for the load and the job that runs."""
    endless = [_submit("alpha") for _ in range(40)]
    rare, asked_at = [], []
    for step in range(60):
        endless += [_submit("alpha") for _ in range(8)]
        if step % 12 == 5:
            asked_at.append(time.time())
            rare.append(_submit("beta"))
        time.sleep(0.08)
    _wait(rare)
    waits = [_started_at(system, result) - at for result, at in zip(rare, asked_at, strict=True)]
    _wait(endless)
    # Besides turn, load and job half a second for a test machine that does other things.
    assert max(waits) <= AFFINITY_SECONDS + LOAD_SECONDS + 0.05 + 0.5


def test_an_urgent_job_starts_in_the_next_free_slot(system: System) -> None:
    """Whatever waits in the background on the same model."""
    background = [_submit("alpha", 20, priority=9) for _ in range(120)]
    urgent, asked_at = [], []
    for _ in range(8):
        urgent.append(_submit("alpha", 20, priority=0))
        asked_at.append(time.time())
        time.sleep(0.5)
    _wait([*urgent, *background])
    ends = sorted(line["at"] for line in system.ollama.ended())
    late = []
    for result, at in zip(urgent, asked_at, strict=True):
        late.append(_started_at(system, result) - next(end for end in ends if end >= at))
    assert statistics.median(late) <= 0.1
    assert max(late) <= 0.3  # the next slot's end is 50 ms later on the average


def test_an_urgent_job_ends_the_turn_of_another_model(system: System) -> None:
    """It is not kept waiting until the background is done or the turn is over."""
    background = [_submit("alpha", 20, priority=9) for _ in range(80)]
    eventually(lambda: system.ollama.started(job=background[0].id))
    asked_at = time.time()
    urgent = _submit("beta", priority=0)
    _wait([urgent])
    assert _started_at(system, urgent) - asked_at <= 0.2 + LOAD_SECONDS + 0.4
    _wait(background)


def test_slots_are_not_idle_while_jobs_wait(system: System) -> None:
    """A free slot is filled at once and not at the next poll, 100 ms later; `bench order` has the figures."""
    _wait([_submit("alpha")])
    results = [_submit("alpha", 100) for _ in range(3 * SLOTS)]
    _wait(results)
    ids = {result.id for result in results}
    by_slot: dict[int, list[float]] = {}
    for line in system.ollama.served():
        if line["job"] in ids:
            by_slot.setdefault(line["slot"], []).append(line["at"])
    assert len(by_slot) == SLOTS
    gaps = [
        start - end
        for moments in by_slot.values()
        for end, start in zip(moments[1::2], moments[2::2], strict=False)
    ]
    assert statistics.median(gaps) <= 0.08


def test_a_paused_queue_waits_and_others_go_on(system: System, worker: Worker) -> None:
    """The consumer stays, so that Flower shows the queue."""
    pause_queue(system.database, "alpha")
    tell_workers(system.database, system.redis)
    try:
        time.sleep(0.3)  # what was asked for before
        waiting = _submit("alpha")
        _wait([_submit("beta")])
        assert not system.ollama.started(job=waiting.id)
        assert "ollama.alpha" in consumed_queues(worker)
    finally:
        resume_queue(system.database, "alpha")
        tell_workers(system.database, system.redis)
    _wait([waiting])


def test_a_smaller_context_loads_nothing_anew(system: System) -> None:
    """And a larger one does."""
    _wait([_submit("alpha")])
    eventually(lambda: _reported_num_ctx(system, "alpha") == 4096)
    fitting = [_submit("alpha", num_ctx=size) for size in (512, 2048, 4096)]
    _wait(fitting)
    assert _loads(system, fitting) == 0
    larger = [_submit("alpha", num_ctx=8192)]
    _wait(larger)
    assert _loads(system, larger) == 1


def test_models_come_and_go(system: System, worker: Worker) -> None:
    """A new one is served within five seconds, the queue of a removed one is left as soon."""
    system.ollama.control(add_model="newcomer")
    eventually(lambda: "ollama.newcomer" in consumed_queues(worker), within=5)
    _wait([_submit("newcomer")])
    system.ollama.control(remove_model="newcomer")
    eventually(lambda: "ollama.newcomer" not in consumed_queues(worker), within=5)


def test_while_ollama_is_away_nothing_is_taken(system: System, worker: Worker) -> None:
    """No attempt is used, the queue is still consumed, and it goes on within three seconds."""
    _wait([_submit("alpha")])
    system.ollama.kill()
    eventually(lambda: not _reports(system)[0].ollama_healthy)
    time.sleep(0.3)
    waiting = [_submit("alpha") for _ in range(10)]
    time.sleep(2)
    assert {system.job(result.id).claim for result in waiting} == {0}
    assert "ollama.alpha" in consumed_queues(worker)
    system.ollama.start()
    back_at = time.time()
    eventually(lambda: system.ollama.started(job=waiting[0].id))
    assert _started_at(system, waiting[0]) - back_at <= 3
    _wait(waiting)
    assert {(system.job(r.id).claim, system.job(r.id).attempts) for r in waiting} == {(1, 0)}


def _reports(system: System) -> list[WorkerReport]:
    return live_workers(system.redis)


def _reported_num_ctx(system: System, name: str) -> int | None:
    return next((model.num_ctx for model in _reports(system)[0].models if model.name == name), None)
