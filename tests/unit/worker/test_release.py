"""The window as the keeper and the children keep it, on a real Valkey."""

import time
from dataclasses import replace
from typing import Any

import pytest
import redis
from celery import Celery
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy.exc import OperationalError

from jobs.breaker import Breaker
from jobs.changes import as_publication
from jobs.database import Database
from jobs.events import EventWriter
from jobs.instants import utc_now
from jobs.records import Policy
from jobs.round_trips import by_client
from jobs.scheduling.window import Line
from jobs.service import JobService
from jobs.window import release_next, take_back
from jobs.workers import InstalledModel, WorkerReport, report_worker
from settings import get_settings
from tasks.publishing import publish
from tasks.queue_lists import count_lined_up
from tasks.resources import Resources
from tests.support.jobs import SECOND, claim, row, submit
from worker import releasing
from worker.keeper import release as release_module
from worker.keeper.keeper import Keeper
from worker.keeper.reconciler import Reconciler
from worker.keeper.release import Release, slots_of

LINE_UP = 20
SLOTS = 2  # a window of four
LINE = Line("alpha", "flooder", 5)


@pytest.fixture
def keeper(sqlite_database: Database, broker_app: Celery, real_redis: Any) -> Keeper:
    """A keeper beside a worker of two slots."""
    made = Keeper(
        worker="w1@gpu",
        settings=get_settings().model_copy(update={"line_up": LINE_UP}),
        app=broker_app,
        service=JobService(sqlite_database, Policy(line_up=LINE_UP)),
        redis=real_redis,
        events=EventWriter(real_redis),
    )
    _report(made)
    return made


def _report(keeper: Keeper) -> None:
    models = [InstalledModel("alpha"), InstalledModel("beta")]
    now = utc_now().timestamp()
    report_worker(
        keeper.redis, WorkerReport("w1", "gpu", "http://gpu:11434", True, SLOTS, now, models=models)
    )


def _submit(keeper: Keeper, count: int = 1, **values: Any) -> list[str]:
    """Submitted and published as the product does."""
    found = []
    for _ in range(count):
        job_id = submit(keeper.service, **{"key_id": "flooder", "now": utc_now()} | values)
        found.append(job_id)
        job = row(keeper.service, job_id)
        if job.released_at is not None:
            take = [as_publication(job)]
            assert publish(by_client(keeper.redis), take, ageing_seconds=30.0)
    return found


def _in_redis(keeper: Keeper, model: str = "alpha") -> int:
    return sum(count_lined_up(keeper.redis, [model])[model].values())


def _released(keeper: Keeper, jobs: list[str]) -> list[str]:
    return [job_id for job_id in jobs if row(keeper.service, job_id).released_at is not None]


# --- the sweep --------------------------------------------------------------------------------------


def test_a_key_alone_has_its_whole_line_up(keeper: Keeper) -> None:
    """And no more, however much waits: Redis stays small."""
    jobs = _submit(keeper, 50)
    assert (_in_redis(keeper), len(_released(keeper, jobs))) == (LINE_UP, LINE_UP)
    assert Release(keeper).run_once() == 0


def test_another_key_makes_the_line_short(keeper: Keeper) -> None:
    """Within one sweep, in the rows and in Redis; the other key's job is left alone."""
    jobs = _submit(keeper, 50)
    light = _submit(keeper, key_id="light")
    assert Release(keeper).run_once() == LINE_UP - 4
    assert _released(keeper, jobs) == jobs[:4]
    assert _released(keeper, light) == light
    assert _in_redis(keeper) == 5


def test_what_runs_is_a_part_of_the_window(keeper: Keeper) -> None:
    """A job of another key stands behind what runs and what is lined up, together a window."""
    jobs = _submit(keeper, 50)
    for job_id in jobs[:SLOTS]:
        claim(keeper.service, job_id, now=utc_now())
    _submit(keeper, key_id="light")
    Release(keeper).run_once()
    assert _released(keeper, jobs) == jobs[:4]


def test_the_line_stays_short_for_a_while(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other key may come again; then it grows to its whole length."""
    clock = [0.0]
    monkeypatch.setattr(release_module, "time", type("Clock", (), {"monotonic": lambda: clock[0]}))
    jobs = _submit(keeper, 50)
    light = _submit(keeper, key_id="light")
    release = Release(keeper)
    release.run_once()
    claim(keeper.service, light[0], now=utc_now())
    assert release.run_once() == 0
    clock[0] = 61.0
    assert release.run_once() == LINE_UP - 4
    assert _released(keeper, jobs) == jobs[:LINE_UP]


def test_keys_of_different_models_do_not_shorten_each_other(keeper: Keeper) -> None:
    """They wait for different things."""
    _submit(keeper, 50)
    _submit(keeper, 50, key_id="light", model="beta")
    assert Release(keeper).run_once() == 0
    assert (_in_redis(keeper), _in_redis(keeper, "beta")) == (LINE_UP, LINE_UP)


def test_what_a_crash_left_is_released(keeper: Keeper) -> None:
    """A child that died between its claim and the release leaves room."""
    jobs = _submit(keeper, 30)
    for job_id in jobs[:5]:
        claim(keeper.service, job_id, now=utc_now())
    assert Release(keeper).run_once() == 5
    assert _released(keeper, jobs) == jobs[: LINE_UP + 5]


def test_an_operator_chooses_the_window(keeper: Keeper) -> None:
    """Whatever the slots."""
    chosen = replace(keeper, settings=keeper.settings.model_copy(update={"fair_window": 7}))
    jobs = _submit(keeper, 50)
    _submit(keeper, key_id="light")
    Release(chosen).run_once()
    assert _released(keeper, jobs) == jobs[:7]


def test_a_sweep_has_an_end(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it does not get to is left for the next."""
    monkeypatch.setattr(release_module, "MOST_MOVES", 5)
    monkeypatch.setattr(release_module, "BATCH", 2)
    _submit(keeper, 50)
    take_back(keeper.service, LINE, keep=0)
    release = Release(keeper)
    counts = [release.run_once() for _ in range(6)]
    assert sum(counts) == LINE_UP
    assert max(counts) <= 6


def test_slots_are_counted_where_the_model_is(keeper: Keeper) -> None:
    """On every worker that has it."""
    one, both = [InstalledModel("alpha")], [InstalledModel("alpha"), InstalledModel("beta")]
    workers = [
        WorkerReport(name, "gpu", "http://gpu", True, slots, time.time(), models=models)
        for name, slots, models in (("w1", 4, one), ("w2", 2, both))
    ]
    assert [slots_of(workers, model) for model in ("alpha", "beta", "gamma")] == [6, 2, 0]


# --- faults -----------------------------------------------------------------------------------------


class Dead(Exception):
    """The keeper was killed here."""


def _die(*_: Any, **__: Any) -> Any:
    raise Dead


def test_a_death_before_the_withdrawal_leaves_void_messages(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows are held; each message that stayed is refused, and none of the jobs is lost."""
    jobs = _submit(keeper, 50)
    _submit(keeper, key_id="light")
    with monkeypatch.context() as patch:
        patch.setattr(release_module, "withdraw", _die)
        with pytest.raises(Dead):
            Release(keeper).run_once()
    assert (_in_redis(keeper), len(_released(keeper, jobs))) == (LINE_UP + 1, 4)
    assert keeper.service.claim(jobs[10], publication=1, worker="w") is None
    assert Release(keeper).run_once() == 0  # the next leader
    assert len(_released(keeper, jobs)) == 4
    released = release_next(keeper.service, LINE, most=99)
    assert [one.job_id for one in released] == jobs[4:]


def test_a_death_before_publishing_is_found_by_the_reconciler(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Released rows without a message are published again, once each."""
    jobs = _submit(keeper, 30)
    for job_id in jobs[:5]:
        claim(keeper.service, job_id, now=utc_now())
    with monkeypatch.context() as patch:
        patch.setattr(Keeper, "publish", _die)
        with pytest.raises(Dead):
            Release(keeper).run_once()
    assert Release(keeper).run_once() == 0
    missing = jobs[LINE_UP : LINE_UP + 5]
    assert _released(keeper, missing) == missing
    _make_old(keeper)
    reconciler = Reconciler(keeper)
    assert [reconciler.run_once() for _ in range(3)] == [0, 5, 0]
    assert [row(keeper.service, job_id).publication for job_id in missing] == [2] * 5


def _make_old(keeper: Keeper) -> None:
    with keeper.service.database.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE jobs SET published_at = published_at - 10 WHERE status = 'pending'"
        )


def _no_redis() -> redis.Redis:
    """A client of a server that is away; asked once, as often as it takes to know that."""
    return redis.Redis(unix_socket_path="/nonexistent/redis.sock", retry=Retry(NoBackoff(), 0))


def test_redis_away_during_a_release_loses_nothing(keeper: Keeper, breaker: Breaker) -> None:
    """The rows are released, the messages are sent when it is back."""
    jobs = _submit(keeper, 30)
    for job_id in jobs[:5]:
        claim(keeper.service, job_id, now=utc_now())
    away = replace(keeper, redis=_no_redis())
    assert Release(away).run_once() == 5
    assert _released(keeper, jobs) == jobs[: LINE_UP + 5]
    breaker.succeeded()  # it is back
    _make_old(keeper)
    reconciler = Reconciler(keeper)
    assert [reconciler.run_once() for _ in range(3)] == [0, 5, 0]
    # Each once, and of the claimed ones the message with which nothing was done here.
    assert _in_redis(keeper) == LINE_UP + 5


def test_redis_away_during_a_take_back_takes_nothing_back(keeper: Keeper) -> None:
    """Without the workers' reports nobody knows the window."""
    jobs = _submit(keeper, 50)
    _submit(keeper, key_id="light")
    away = replace(keeper, redis=_no_redis())
    with pytest.raises(redis.ConnectionError):
        Release(away).run_once()
    assert len(_released(keeper, jobs)) == LINE_UP


def test_a_new_leader_goes_on_where_the_old_one_stopped(keeper: Keeper) -> None:
    """It has to see the other key anew; until then nothing is lost or doubled."""
    jobs = _submit(keeper, 50)
    light = _submit(keeper, key_id="light")
    old, new = Release(keeper), Release(replace(keeper, worker="w2@gpu"))
    old.run_once()
    assert new.run_once() == 0
    claim(keeper.service, light[0], now=utc_now())
    assert Release(keeper).run_once() == LINE_UP - 4  # a third one, which knows nothing of the other key
    assert old.run_once() == LINE_UP - 4
    assert _released(keeper, jobs) == jobs[:4]
    # A message for each job that may run, and one of the other key, which is void.
    assert _in_redis(keeper) == 4 + 1


def test_a_flush_costs_no_more_than_what_is_lined_up(keeper: Keeper) -> None:
    """The reconciler looks at released rows; the backlog needs no message."""
    jobs = _submit(keeper, 50)
    keeper.redis.flushall()
    _make_old(keeper)
    reconciler = Reconciler(keeper)
    assert [reconciler.run_once() for _ in range(3)] == [0, LINE_UP, 0]
    assert _in_redis(keeper) == LINE_UP == len(_released(keeper, jobs))


def test_a_loss_behind_the_first_page_is_found(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next look goes on where the one before ended."""
    monkeypatch.setattr("worker.keeper.reconciler.CANDIDATES", 5)
    _submit(keeper, LINE_UP)
    lost = keeper.redis.lpop("ollama.alpha\x06\x165")  # of the job that came last
    assert lost is not None
    _make_old(keeper)
    reconciler = Reconciler(keeper)
    assert sum(reconciler.run_once() for _ in range(8)) == 1
    assert _in_redis(keeper) == LINE_UP


# --- the child --------------------------------------------------------------------------------------


def test_a_claim_releases_the_next_job(resources: Resources) -> None:
    """Of the same line, published in its turn."""
    service = JobService(resources.service.database, Policy(line_up=2))
    jobs = [submit(service, key_id="flooder", now=utc_now() + n * SECOND) for n in range(4)]
    releasing.release_one(resources, claim(service, jobs[0], now=utc_now()))
    assert row(service, jobs[2]).released_at is not None
    assert row(service, jobs[3]).released_at is None
    assert count_lined_up(resources.redis, ["alpha"]) == {"alpha": {5: 1}}


def test_it_is_released_beside_the_run(resources: Resources, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a thread of its own, and only where something is held back."""
    service = JobService(resources.service.database, Policy(line_up=1))
    jobs = [submit(service, key_id="flooder", now=utc_now() + n * SECOND) for n in range(2)]
    alone = submit(service, key_id="light", now=utc_now())
    started: list[tuple[float, Any]] = []

    class Timer:
        daemon = False

        def __init__(self, seconds: float, _act: Any, args: Any) -> None:
            self._noted = (seconds, args[1].job_id)

        def start(self) -> None:
            assert self.daemon
            started.append(self._noted)

    monkeypatch.setattr(releasing.threading, "Timer", Timer)
    for job_id in (jobs[0], alone):
        releasing.release_behind(resources, claim(service, job_id, now=utc_now()))
    assert started == [(releasing.PAUSE_SECONDS, jobs[0])]


def test_a_database_that_is_away_is_the_keepers_matter(
    resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run goes on; nothing is published."""

    def fail(*_: Any, **__: Any) -> Any:
        raise OperationalError("UPDATE", {}, Exception())

    monkeypatch.setattr(releasing, "release_next", fail)
    releasing.release_one(resources, claim(resources.service, submit(resources.service)))
    assert count_lined_up(resources.redis, ["alpha"]) == {"alpha": {}}
