"""The keeper's services, one pass each, on a real Valkey."""

import json
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery
from celery import states as celery_states
from kombu.exceptions import OperationalError as BrokerAway
from sqlalchemy.exc import OperationalError

from jobs.changes import as_publication
from jobs.database import Database
from jobs.events import EventWriter, read_events
from jobs.instants import utc_now
from jobs.models import Model
from jobs.pauses import pause_queue, paused_models
from jobs.queries import known_models
from jobs.records import Policy
from jobs.round_trips import by_client
from jobs.service import JobService
from jobs.states import Status
from jobs.workers import InstalledModel, WorkerReport, live_workers, report_worker
from ollama_client.errors import OllamaUnavailable
from settings import get_settings
from tasks import app as our_app
from tasks import embed, generate, installed
from tasks import resources as resources_module
from tasks.canvas import pack
from tasks.publishing import publish
from tasks.queue_lists import list_names
from tasks.resources import get_resources, use_database
from tasks.taken_messages import taken_keys, transport_options
from tests.support.clock import Clock
from tests.support.fake_ollama import FakeTransport
from tests.support.jobs import OUTCOME, SECOND, attempts, claim, make, payload, row, running, submit
from tests.support.lined_up import line_up, lined_up
from worker.keeper import __main__ as keeper_main
from worker.keeper import (
    ageing,
    expiry,
    leadership,
    lost_workers,
    pauses,
    purge,
    reaper,
    registry,
    retries,
    successors,
)
from worker.keeper.__main__ import Housekeeping
from worker.keeper.keeper import Keeper
from worker.keeper.leadership import LEADER_KEY, Leadership
from worker.keeper.reconciler import Reconciler
from worker.keeper.registry import Registry

DAY_SECONDS = 24 * 3600


@pytest.fixture
def keeper(sqlite_database: Database, broker_app: Celery, real_redis: Any) -> Keeper:
    """A keeper on a database, a broker and a Redis of its own."""
    return Keeper(
        worker="w1@gpu",
        settings=get_settings(),
        app=broker_app,
        service=JobService(sqlite_database, Policy()),
        redis=real_redis,
        events=EventWriter(real_redis),
    )


def _ago(seconds: float) -> Any:
    return utc_now() - seconds * SECOND


def _lined_up(keeper: Keeper, model: str = "alpha") -> list[str]:
    """The ids of a model's messages, in the order in which they will be served."""
    served: list[str] = []
    for name in list_names(f"ollama.{model}"):
        messages = [json.loads(text) for text in keeper.redis.lrange(name, 0, -1)]
        served += [message["headers"]["id"] for message in reversed(messages)]
    return served


def _publish(keeper: Keeper, job_id: str) -> None:
    job = row(keeper.service, job_id)
    assert publish(by_client(keeper.redis), [as_publication(job)], ageing_seconds=30.0)


def _types(keeper: Keeper, job_id: str) -> list[tuple[str, str]]:
    return [(event.type, event.data["status"]) for event in read_events(keeper.redis, job_id)]


# --- the reconciler ---------------------------------------------------------------------------------


def test_a_lost_message_is_published_at_the_second_look(keeper: Keeper) -> None:
    """Once: the first look may fall between kombu's pop and its note of what it popped."""
    job_id = submit(keeper.service, now=_ago(10))
    reconciler = Reconciler(keeper)
    assert [reconciler.run_once(), reconciler.run_once(), reconciler.run_once()] == [0, 1, 0]
    assert _lined_up(keeper) == [job_id]
    assert row(keeper.service, job_id).publication == 2


def test_a_message_that_waits_is_not_lost(keeper: Keeper) -> None:
    """Whatever level it is at."""
    for priority in (0, 5, 9):
        _publish(keeper, submit(keeper.service, now=_ago(10), priority=priority))
    reconciler = Reconciler(keeper)
    assert [reconciler.run_once() for _ in range(3)] == [0, 0, 0]
    assert len(_lined_up(keeper)) == 3


def _report(keeper: Keeper, *, seconds_ago: float = 0.0) -> None:
    at = time.time() - seconds_ago
    report_worker(keeper.redis, WorkerReport(keeper.worker, "h", "u", True, 1, at))


def _take(keeper: Keeper) -> Any:
    """Receive a message as a worker does, and keep it unacknowledged."""
    connection = keeper.app.connection_for_read(transport_options=transport_options(keeper.worker))
    queue = connection.SimpleQueue("ollama.alpha", queue_opts={"max_priority": None})
    message = queue.get(timeout=5)
    return connection, message


def test_a_message_that_a_worker_has_is_not_lost(keeper: Keeper) -> None:
    """It is taken and not yet acknowledged; once that is long ago, the job is not being worked on."""
    _report(keeper)
    job_id = submit(keeper.service, now=_ago(10))
    _publish(keeper, job_id)
    connection, message = _take(keeper)
    reconciler = Reconciler(keeper)
    assert [reconciler.run_once() for _ in range(3)] == [0, 0, 0]
    long_ago = time.time() - 60
    keeper.redis.zadd(taken_keys(keeper.worker)[1], {message.delivery_tag: long_ago})
    assert [reconciler.run_once() for _ in range(3)] == [0, 1, 0]
    connection.release()


def test_an_older_message_does_not_hide_a_loss(keeper: Keeper) -> None:
    """Its publication is void, so it is none of the job's."""
    job_id = submit(keeper.service, now=_ago(10))
    _publish(keeper, job_id)
    claimed = claim(keeper.service, job_id, now=_ago(10))
    keeper.service.hand_back(job_id, claimed.claim, now=_ago(9))
    reconciler = Reconciler(keeper)
    assert [reconciler.run_once(), reconciler.run_once()] == [0, 1]


def test_a_young_publication_has_time_to_arrive(keeper: Keeper) -> None:
    """Nothing is looked for at once."""
    submit(keeper.service, now=_ago(1))
    reconciler = Reconciler(keeper)
    assert [reconciler.run_once() for _ in range(3)] == [0, 0, 0]


def test_what_a_worker_had_popped_when_it_ended_is_lost_however_young(keeper: Keeper) -> None:
    """Its keeper, which saw it end, looks twice and does not wait; what has arrived meanwhile is not lost."""
    popped, arriving = submit(keeper.service, now=_ago(0.1)), submit(keeper.service, now=_ago(0.1))
    reconciler = Reconciler(keeper, published_seconds_ago=0.0)
    assert reconciler.run_once() == 0
    _publish(keeper, arriving)
    assert [reconciler.run_once(), reconciler.run_once()] == [1, 0]
    assert sorted(_lined_up(keeper)) == sorted([popped, arriving])


def test_a_message_found_again_was_not_lost(keeper: Keeper) -> None:
    """Missing, there, missing: only two misses in a row count."""
    job_id = submit(keeper.service, now=_ago(10))
    reconciler = Reconciler(keeper)
    assert reconciler.run_once() == 0
    _publish(keeper, job_id)
    assert reconciler.run_once() == 0
    keeper.redis.flushall()
    assert [reconciler.run_once(), reconciler.run_once()] == [0, 1]


def test_what_was_lost_together_is_served_by_due_time(keeper: Keeper) -> None:
    """As it would have been without the loss, each model in its own queue."""
    order = [(0, 30), (5, 300), (5, 60), (9, 400), (9, 20)]
    jobs = [submit(keeper.service, now=_ago(age), priority=priority) for priority, age in order]
    other = submit(keeper.service, now=_ago(30), model="beta")
    reconciler = Reconciler(keeper)
    assert [reconciler.run_once(), reconciler.run_once()] == [0, 6]
    by_due_time = sorted(jobs, key=lambda job_id: row(keeper.service, job_id).due_at)
    assert _lined_up(keeper) == by_due_time
    assert _lined_up(keeper, "beta") == [other]


def test_two_keepers_publish_a_lost_message_once(keeper: Keeper) -> None:
    """Both miss it; one wins."""
    submit(keeper.service, now=_ago(10))
    both = [Reconciler(keeper), Reconciler(replace(keeper, worker="w2@gpu"))]
    for reconciler in both:
        reconciler.run_once()
    assert sum(reconciler.run_once() for reconciler in both) == 1
    assert len(_lined_up(keeper)) == 1


# --- the others -------------------------------------------------------------------------------------


def test_lost_runs_are_served_next(keeper: Keeper) -> None:
    """In front of what has waited less, and readers are told."""
    waiting = submit(keeper.service, now=_ago(5))
    _publish(keeper, waiting)
    lost = [submit(keeper.service, now=_ago(age)) for age in (20, 10)]
    for job_id in lost:
        claim(keeper.service, job_id, now=_ago(9))
    assert reaper.run_once(keeper) == 2
    assert _lined_up(keeper) == [*lost, waiting]
    assert _types(keeper, lost[0]) == [("status", "pending")]


def test_a_job_that_kills_its_workers_is_told_as_failed(keeper: Keeper) -> None:
    """It gets no further message."""
    strict = replace(keeper, service=JobService(keeper.service.database, Policy(max_attempts=1)))
    claimed = running(strict.service, now=_ago(10))
    claim_time = row(strict.service, claimed.job_id).lease_until
    assert claim_time is not None
    assert reaper.run_once(strict) == 1
    assert (_lined_up(keeper), _types(keeper, claimed.job_id)) == ([], [("done", "failed")])
    assert len(attempts(strict.service, claimed.job_id)) == 1


def test_released_jobs_join_at_the_back(keeper: Keeper) -> None:
    """They have not waited there yet."""
    delayed = submit(keeper.service, now=_ago(60), delay_seconds=30.0)
    waiting = submit(keeper.service, now=_ago(5))
    _publish(keeper, waiting)
    assert retries.run_once(keeper) == 1
    assert _lined_up(keeper) == [waiting, delayed]


def test_expired_jobs_are_told(keeper: Keeper) -> None:
    """To who listens."""
    job_id = submit(keeper.service, now=_ago(10), deadline_seconds=1.0)
    assert expiry.run_once(keeper) == 1
    assert _types(keeper, job_id) == [("done", "expired")]


def test_old_jobs_are_deleted(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the retention time, and what Celery keeps of others too."""
    cleaned: list[bool] = []
    monkeypatch.setattr(type(keeper.app.backend), "cleanup", lambda _self: cleaned.append(True))
    for days, count in ((29, 0), (31, 1)):
        job_id = submit(keeper.service, now=_ago(days * DAY_SECONDS))
        moment = _ago(days * DAY_SECONDS - 1)
        keeper.service.finish(job_id, claim(keeper.service, job_id, now=moment).claim, OUTCOME, now=moment)
        assert purge.run_once(keeper) == count
    assert cleaned == [True, True]


# --- successors -------------------------------------------------------------------------------------


@pytest.fixture
def submitting(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> Keeper:
    """A keeper whose own process submits to the same database, for what it sends after others' jobs."""
    monkeypatch.setattr(resources_module, "_by_process", {})
    use_database(keeper.service.database)
    get_resources().__dict__.update(redis=keeper.redis, events=keeper.events)
    models = [InstalledModel("alpha")]
    moment = utc_now().timestamp()
    report_worker(keeper.redis, WorkerReport("w1", "h", "u", True, 1, moment, models=models))
    monkeypatch.setattr("tasks.job_task.publish", lambda *_, **__: True)
    return replace(keeper, app=our_app)


def _behind(keeper: Keeper, status: Status = Status.COMPLETED, **canvas: Any) -> str:
    """A job that ended, and whose successors a crash left untold."""
    packed = pack("j1", canvas.pop("link", None), canvas.pop("link_error", None), canvas)
    return make(keeper.service, status, job_id="j1", canvas=packed, has_successors=True)


def test_what_a_crash_left_unsent_is_sent(submitting: Keeper) -> None:
    """Links and the next of the chain get the result, once, under their own ids."""
    link = generate.s().set(task_id="link")
    rest = [embed.s().set(task_id="third"), generate.s().set(task_id="second")]
    job_id = _behind(submitting, link=link, chain=rest)
    assert [successors.run_once(submitting), successors.run_once(submitting)] == [1, 0]
    assert payload(submitting.service, "link").input == {"prompt": "It scatters."}
    second = payload(submitting.service, "second")
    assert second.input == {"prompt": "It scatters."}
    assert second.canvas is not None
    assert [member["options"]["task_id"] for member in second.canvas["chain"]] == ["third"]
    assert not row(submitting.service, job_id).successors_pending


def test_a_successor_that_is_refused_holds_nobody_up(submitting: Keeper) -> None:
    """A chain that goes on with a model that is gone fails for who waits for it, and the keeper lives on."""
    rest = [embed.s().set(task_id="third"), generate.s(model="gone").set(task_id="second")]
    job_id = _behind(submitting, link=generate.s().set(task_id="link"), chain=rest)
    assert [successors.run_once(submitting), successors.run_once(submitting)] == [1, 0]
    assert not row(submitting.service, job_id).successors_pending
    assert row(submitting.service, "link").status == Status.PENDING
    for task_id in ("second", "third"):
        assert our_app.AsyncResult(task_id).state == celery_states.FAILURE
    with pytest.raises(Exception, match="gone"):
        our_app.AsyncResult("second").get(timeout=1)


def test_a_refused_link_that_nobody_can_name_fails_nobody(
    submitting: Keeper, caplog: pytest.LogCaptureFixture
) -> None:
    """Without an id no one can wait for it; it is told in the log."""
    job_id = _behind(submitting, link=generate.s(model="gone"))
    assert [successors.run_once(submitting), successors.run_once(submitting)] == [1, 0]
    assert "what follows it was not accepted" in caplog.text
    assert not row(submitting.service, job_id).successors_pending


def test_what_could_not_be_told_for_want_of_redis_is_told_later(
    submitting: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pass ends, and the next one begins with it."""
    job_id = _behind(submitting, link=generate.s().set(task_id="link"))

    def is_away(*_: Any, **__: Any) -> None:
        raise redis.ConnectionError("away")

    with monkeypatch.context() as patched:
        patched.setattr(successors.canvas, "restore", is_away)
        with pytest.raises(redis.ConnectionError):
            successors.run_once(submitting)
    assert row(submitting.service, job_id).successors_pending
    assert successors.run_once(submitting) == 1
    assert row(submitting.service, "link").status == Status.PENDING


def test_what_does_not_complete_calls_its_errbacks(submitting: Keeper) -> None:
    """With the job's own error, and the rest of its chain fails with it."""
    job_id = _behind(submitting, Status.CANCELLED, chain=[generate.s().set(task_id="second")])
    assert successors.run_once(submitting) == 1
    assert our_app.AsyncResult("second").state == celery_states.FAILURE
    assert not row(submitting.service, job_id).successors_pending


def test_an_errback_that_raises_holds_nobody_up(submitting: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the user's code, told in the log, and not called again for ever."""

    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(our_app.backend, "_call_task_errbacks", broken)
    job_id = _behind(submitting, Status.FAILED, link_error=generate.s())
    assert [successors.run_once(submitting), successors.run_once(submitting)] == [1, 0]
    assert not row(submitting.service, job_id).successors_pending


def test_without_a_broker_successors_wait(submitting: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are told when it is back."""

    def away(*_: Any, **__: Any) -> None:
        raise BrokerAway("away")

    job_id = _behind(submitting, link=our_app.signature("elsewhere.task"))
    monkeypatch.setattr(our_app, "send_task", away)
    successors.run_once(submitting)
    assert row(submitting.service, job_id).successors_pending


# --- leading ----------------------------------------------------------------------------------------


def test_one_keeper_leads(redis_client: Any) -> None:
    """The first, as long as it renews; another only once that is over."""
    first, second = Leadership(redis_client, "w1"), Leadership(redis_client, "w2")
    assert [first.is_held(), second.is_held(), first.is_held()] == [True, False, True]
    assert 0 < redis_client.pttl(LEADER_KEY) <= leadership.LEASE_SECONDS * 1000
    redis_client.delete(LEADER_KEY)  # as its expiry does
    assert [second.is_held(), first.is_held()] == [True, False]


def test_who_stops_lets_another_lead_at_once(redis_client: Any) -> None:
    """And nobody gives up what another has."""
    first, second = Leadership(redis_client, "w1"), Leadership(redis_client, "w2")
    first.is_held()
    second.give_up()
    assert not second.is_held()
    first.give_up()
    assert second.is_held()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that stands still until it is told."""
    found = Clock(1000.0)
    monkeypatch.setattr(keeper_main, "time", found)
    return found


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which services ran."""
    found: list[str] = []

    def note(name: str) -> Any:
        def run_once(_keeper: Any) -> int:
            found.append(name)
            return 0

        return run_once

    for service in (retries, expiry, reaper, successors, purge, keeper_main.checkpoint):
        monkeypatch.setattr(service, "run_once", note(service.__name__.rpartition(".")[2]))
    monkeypatch.setattr(Reconciler, "run_once", note("reconciler"))
    return found


def test_the_leader_does_everything(keeper: Keeper, clock: Clock, passes: list[str]) -> None:
    """Each second all but the purge, which is once a minute."""
    housekeeping = Housekeeping(keeper)
    housekeeping.run_once()
    assert passes == ["retries", "expiry", "reaper", "reconciler", "successors", "checkpoint", "purge"]
    passes.clear()
    for _ in range(59):
        clock.now += 1
        housekeeping.run_once()
    assert "purge" not in passes
    clock.now += 1
    housekeeping.run_once()
    assert passes.count("purge") == 1


def test_lapsed_leases_are_looked_for_more_often(keeper: Keeper, clock: Clock, passes: list[str]) -> None:
    """Four times a second; the rest waits for its second, and all of it for the lead."""
    housekeeping = Housekeeping(keeper)
    housekeeping.tick()
    passes.clear()
    for _ in range(4):
        clock.now += 0.25
        housekeeping.tick()
    assert passes.count("reaper") == 4
    assert passes.count("reconciler") == 1
    housekeeping.give_up()
    Leadership(keeper.redis, "w2@gpu").is_held()
    passes.clear()
    clock.now += 0.25
    housekeeping.tick()
    assert passes == []


def test_who_does_not_lead_does_nothing(keeper: Keeper, clock: Clock, passes: list[str]) -> None:
    """Until it is its turn."""
    other = Leadership(keeper.redis, "w2@gpu")
    other.is_held()
    housekeeping = Housekeeping(keeper)
    housekeeping.run_once()
    assert passes == []
    other.give_up()
    housekeeping.run_once()
    assert "reaper" in passes
    housekeeping.give_up()
    assert other.is_held()


@pytest.mark.parametrize(("pause", "reaps"), [(2.5, True), (2.6, False), (3600.0, False)])
def test_after_a_pause_leases_get_their_time(
    keeper: Keeper, clock: Clock, passes: list[str], pause: float, reaps: bool
) -> None:
    """A machine that slept did not renew either: nothing is taken back until it could have."""
    housekeeping = Housekeeping(keeper)
    housekeeping.run_once()
    passes.clear()
    clock.now += pause
    housekeeping.run_once()
    assert ("reaper" in passes) is reaps
    for _ in range(4):
        clock.now += 1
        housekeeping.run_once()
    assert ("reaper" in passes) is reaps
    clock.now += 1
    housekeeping.run_once()
    assert "reaper" in passes


def test_after_a_database_outage_leases_get_their_time(
    keeper: Keeper, clock: Clock, passes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The workers could not renew either; the other services go on."""

    def away(_keeper: Any) -> int:
        raise OperationalError("SELECT", {}, Exception("away"))

    monkeypatch.setattr(retries, "run_once", away)
    housekeeping = Housekeeping(keeper)
    housekeeping.run_once()
    assert "expiry" in passes
    assert "reaper" not in passes


@pytest.mark.parametrize(
    "late",
    [
        (service, pause, reaps)
        for service in (retries, reaper, successors)
        for pause, reaps in ((2.5, True), (2.6, False), (8.0, False))
    ],
)
def test_after_a_database_stood_still_leases_get_their_time(
    keeper: Keeper,
    clock: Clock,
    passes: list[str],
    late: tuple[Any, float, bool],
) -> None:
    """Whichever question it answers late: nobody could renew meanwhile, and they may now."""
    slow, pause, reaps = late
    housekeeping = Housekeeping(keeper)
    run_once = slow.run_once

    def stand_still(keeper: Keeper) -> int:
        clock.now += pause
        return int(run_once(keeper))

    with pytest.MonkeyPatch.context() as standing_still:
        standing_still.setattr(slow, "run_once", stand_still)
        housekeeping.tick()
    passes.clear()
    for _ in range(19):  # a tick each quarter of a second: less than a lease
        clock.now += 0.25
        housekeeping.tick()
    assert ("reaper" in passes) is reaps
    clock.now += 0.25
    housekeeping.tick()
    assert "reaper" in passes


def test_a_pass_does_its_work(keeper: Keeper) -> None:
    """All services for real, on what a crash left."""
    lost = submit(keeper.service, now=_ago(60))
    claim(keeper.service, lost, now=_ago(60))
    expired = submit(keeper.service, now=_ago(60), deadline_seconds=1.0)
    Housekeeping(keeper).run_once()
    assert row(keeper.service, lost).status == Status.PENDING
    assert row(keeper.service, expired).status == Status.EXPIRED


def test_a_keeper_works_until_its_parent_is_gone(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """
    A pass without Redis is no end. At the end it gives up the lead and withdraws the worker, and stays
    until the jobs of a worker that has ended without a word are taken back.
    """
    steps = ["redis is away", "works", "works"]
    done: list[str] = []

    class FakeHousekeeping:
        def __init__(self, _keeper: Keeper) -> None:
            pass

        def tick(self) -> None:
            done.append(steps.pop(0))
            if done[-1] == "redis is away":
                raise redis.ConnectionError("redis://user:password@host")

        def give_up(self) -> None:
            done.append("gave up")

        def after_parent(self) -> None:
            done.append("its worker is gone")

        def look_for_lost(self) -> None:
            done.append("looked")

        def reap(self) -> None:
            done.append("reaped")

    class FakeRegistry:
        def __init__(self, watched: Keeper) -> None:
            self._keeper = watched

        def run_once(self) -> None:
            moment = time.time()
            report_worker(keeper.redis, WorkerReport("w1@gpu", "h", "u", True, 1, moment))

    monkeypatch.setattr(keeper_main, "PASS_SECONDS", 0.0)
    monkeypatch.setattr(keeper_main, "REAP_SECONDS", 0.01)
    monkeypatch.setattr(lost_workers, "DOUBT_SECONDS", 0.1)
    monkeypatch.setattr(keeper_main, "make_keeper", lambda _worker: keeper)
    monkeypatch.setattr(keeper_main, "Housekeeping", FakeHousekeeping)
    monkeypatch.setattr(keeper_main, "Registry", FakeRegistry)
    monkeypatch.setattr(keeper_main, "watch_ollama", lambda *_: None)
    monkeypatch.setattr(keeper_main.signal, "signal", lambda *_: None)
    monkeypatch.setattr(keeper_main.os, "getppid", lambda: 7 if steps else 1)
    keeper_main.main("w1@gpu", 7)
    assert done[:5] == ["redis is away", "works", "works", "its worker is gone", "gave up"]
    assert done[5] == "looked"
    assert set(done[6:]) == {"looked", "reaped"}
    assert live_workers(keeper.redis) == []
    assert "password" not in caplog.text


@pytest.mark.parametrize("seconds_ago", [0.0, 6.0])
def test_what_a_lost_worker_had_taken_goes_back(keeper: Keeper, seconds_ago: float) -> None:
    """Once it reports no more; a worker that lives keeps it."""
    _report(keeper, seconds_ago=seconds_ago)
    job_id = submit(keeper.service, now=_ago(1))
    _publish(keeper, job_id)
    connection, _ = _take(keeper)
    assert lost_workers.run_once(keeper) == (1 if seconds_ago else 0)
    assert _lined_up(keeper) == ([job_id] if seconds_ago else [])
    connection.release()


def test_a_keeper_whose_worker_is_gone_sees_to_its_jobs(keeper: Keeper) -> None:
    """What it ran is taken back within seconds, what it had only taken goes back at once."""
    waits, runs = submit(keeper.service, now=_ago(1)), submit(keeper.service, now=_ago(1))
    claim(keeper.service, runs, now=utc_now(), worker=keeper.worker)
    _publish(keeper, waits)
    connection, _ = _take(keeper)
    Housekeeping(keeper).after_parent()
    assert _lined_up(keeper) == [waits]
    assert row(keeper.service, runs).lease_until <= utc_now() + lost_workers.DOUBT_SECONDS * SECOND
    connection.release()


def test_a_keeper_is_made_of_its_process(submitting: Keeper) -> None:
    """The services that the process has anyway; with Redis it is more patient."""
    made = keeper_main.make_keeper("w9@gpu")
    assert (made.worker, made.service) == ("w9@gpu", get_resources().service)
    assert made.redis.connection_pool.connection_kwargs["socket_timeout"] == 5.0


# --- the registry -----------------------------------------------------------------------------------

ANSWERS = {
    "/api/version": {"version": "0.24.0"},
    "/api/tags": {"models": [{"name": "Alpha:latest", "size": 5, "digest": "a"}]},
    "/api/ps": {"models": [{"name": "Alpha:latest"}]},
    "/api/show": {"capabilities": ["completion"]},
}


@pytest.fixture
def ollama(monkeypatch: pytest.MonkeyPatch) -> FakeTransport:
    """The keeper's Ollama."""
    monkeypatch.setattr(installed, "_details_by_digest", {})
    monkeypatch.setattr(installed, "_loaded_with", {})
    transport = FakeTransport(answers=dict(ANSWERS))
    monkeypatch.setattr(registry, "OllamaTransport", lambda *_, **__: transport)
    return transport


def _known(keeper: Keeper) -> list[Model]:
    with keeper.service.database.reading() as session:
        return known_models(session)


def test_a_worker_reports_its_ollama(keeper: Keeper, ollama: FakeTransport) -> None:
    """To Redis for everybody, to the database for later."""
    began_at = time.time()
    watched = Registry(keeper)
    assert watched.run_once().since == watched.run_once().since  # from when on it has been there
    report = watched.run_once()
    assert began_at <= report.since <= report.reported_at
    assert live_workers(keeper.redis) == [report]
    assert (report.name, report.ollama_healthy, report.ollama_version) == ("w1@gpu", True, "0.24.0")
    assert report.models == [InstalledModel("alpha", 5, can_complete=True, is_loaded=True)]
    assert not report.is_simulated
    assert [(model.name, model.size_bytes) for model in _known(keeper)] == [("alpha", 5)]


@pytest.mark.parametrize(
    ("parameters", "loaded_with", "num_ctx"),
    [
        ('num_ctx                        8192\nstop                           "num_ctx 1"', 4096, 8192),
        ("num_thread                     1", 4096, 4096),
        (None, 4096, 4096),
        ("", None, None),
    ],
)
def test_the_context_that_a_model_is_loaded_with(
    keeper: Keeper,
    ollama: FakeTransport,
    parameters: str | None,
    loaded_with: int | None,
    num_ctx: int | None,
) -> None:
    """What its Modelfile says, else what it was last seen with; also after it was unloaded."""
    ollama.answers["/api/show"] = {"capabilities": ["completion"], "parameters": parameters}
    loaded = {"name": "Alpha:latest", "digest": "a", "context_length": loaded_with}
    ollama.answers["/api/ps"] = {"models": [loaded]}
    watched = Registry(keeper)
    watched.run_once()
    ollama.answers["/api/ps"] = {"models": []}
    (model,) = watched.run_once().models
    assert (model.num_ctx, model.is_loaded) == (num_ctx, False)


def test_an_ollama_that_is_away_is_reported_with_what_it_had(keeper: Keeper, ollama: FakeTransport) -> None:
    """Its jobs are accepted, and wait."""
    watched = Registry(keeper)
    watched.run_once()
    ollama.answers["/api/version"] = OllamaUnavailable()
    report = watched.run_once()
    assert (report.ollama_healthy, [model.name for model in report.models]) == (False, ["alpha"])


def test_a_simulated_ollama_says_so(keeper: Keeper, ollama: FakeTransport) -> None:
    """By its version."""
    ollama.answers["/api/version"] = {"version": "0.24.0-simulated"}
    assert Registry(keeper).run_once().is_simulated


def test_models_are_stored_when_they_change(
    keeper: Keeper, ollama: FakeTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not each second; a database that is away is tried again."""
    watched = Registry(keeper)
    writes: list[bool] = []
    database = keeper.service.database
    write = database.writing

    def away(**_: Any) -> Any:
        writes.append(False)
        raise OperationalError("INSERT", {}, Exception("away"))

    def counted(**options: Any) -> Any:
        writes.append(True)
        return write(**options)

    monkeypatch.setattr(database, "writing", away)
    watched.run_once()
    monkeypatch.setattr(database, "writing", counted)
    watched.run_once()
    watched.run_once()
    ollama.answers["/api/tags"] = {"models": [{"name": "Alpha:latest", "size": 6, "digest": "b"}]}
    watched.run_once()
    assert writes == [False, True, True]
    assert [model.size_bytes for model in _known(keeper)] == [6]


def test_without_redis_the_database_is_still_told(keeper: Keeper, ollama: FakeTransport) -> None:
    """Nobody else can be."""
    nobody = redis.Redis.from_url("unix:///tmp/no-such-valkey.sock")
    Registry(replace(keeper, redis=nobody)).run_once()
    assert len(_known(keeper)) == 1


# --- pauses -----------------------------------------------------------------------------------------


def test_a_pause_survives_a_flush(keeper: Keeper) -> None:
    """What the database says is where workers look, a pass later."""
    pause_queue(keeper.service.database, "alpha")
    keeper.redis.flushall()
    assert pauses.run_once(keeper) == 1
    assert paused_models(keeper.redis) == {"alpha"}


# --- ageing -----------------------------------------------------------------------------------------


def test_what_waits_is_lifted_when_it_is_due(keeper: Keeper, ollama: FakeTransport) -> None:
    """A job that waited its level's time is one level higher; the queues are those of every model known."""
    Registry(keeper).run_once()
    line_up(keeper.redis, "alpha", 5, "old", utc_now() + 119 * SECOND)
    line_up(keeper.redis, "alpha", 5, "young", utc_now() + 140 * SECOND)
    assert ageing.run_once(keeper) == 1
    assert lined_up(keeper.redis, "alpha") == {4: ["old"], 5: ["young"]}


def test_a_report_that_was_on_its_way_does_not_outlive_its_worker(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker has been withdrawn by then; its jobs would seem to have lost a process only."""
    stopping = threading.Event()

    class Slow:
        def __init__(self, watched: Keeper) -> None:
            pass

        def run_once(self) -> None:
            stopping.set()
            _report(keeper)

    monkeypatch.setattr(keeper_main, "Registry", Slow)
    monkeypatch.setattr(keeper_main, "PASS_SECONDS", 0.001)
    keeper_main.watch_ollama(keeper, stopping)
    assert live_workers(keeper.redis) == []


@pytest.mark.parametrize(("url", "looks"), [(None, 1), ("postgresql+psycopg://h/n", 0)])
def test_each_keeper_looks_after_the_writers_of_its_own_worker(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch, url: str | None, looks: int
) -> None:
    """Until it stops; other databases than SQLite have no one writer."""
    database = keeper.service.database if url is None else Database.connect(url)
    keeper = replace(keeper, service=JobService(database))
    stopping = threading.Event()
    looked: list[tuple[str, int]] = []

    class Writers:
        def __init__(self, file: Path, parent: int) -> None:
            self._of = (str(file), parent)

        def run_once(self) -> None:
            looked.append(self._of)
            stopping.set()

    monkeypatch.setattr(keeper_main, "StoppedWriters", Writers)
    monkeypatch.setattr(keeper_main, "PASS_SECONDS", 0.001)
    keeper_main.watch_writers(keeper, 7, stopping)
    assert looked == [(str(database.engine.url.database), 7)] * looks
