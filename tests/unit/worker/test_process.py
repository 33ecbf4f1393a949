"""The worker's processes: how they are set up, what the parent watches, and how they end."""

import gc
import json
import os
import signal
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from celery.bin.worker import worker as command

from jobs.states import Status
from jobs.workers import InstalledModel, WorkerReport, report_worker
from tasks import app
from tasks.queue_lists import list_names
from tasks.resources import Resources
from tasks.taken_messages import taken_keys
from tests.support.jobs import make, row
from worker import bootsteps, child, drain, keeper_process, revoking
from worker.__main__ import celery_arguments
from worker.__main__ import main as start_worker
from worker.bootsteps import KeeperStep, QueueStep
from worker.drain import DrainStep


class Timer:
    """Celery's timer, which calls only when the test does."""

    def __init__(self) -> None:
        self.repeated: list[tuple[float, Any]] = []
        self.cancelled = 0

    def call_repeatedly(self, seconds: float, function: Any, args: Any = ()) -> Any:
        self.repeated.append((seconds, lambda: function(*args)))
        return SimpleNamespace(cancel=self._cancel)

    def _cancel(self) -> None:
        self.cancelled += 1


# --- the command line -------------------------------------------------------------------------------


def test_a_worker_takes_one_job_a_slot() -> None:
    """Celery gets our options, and a name that no other worker has."""
    arguments = celery_arguments([])
    assert arguments[arguments.index("--concurrency") + 1] == "1"
    assert arguments[arguments.index("--pool") + 1] == "prefork"
    assert arguments[arguments.index("--queues") + 1] == "celery"
    assert "--hostname" in arguments


@pytest.mark.parametrize("named", [["--hostname", "a@b"], ["--hostname=a@b"], ["-n", "a@b"]])
def test_a_worker_may_be_named(named: list[str]) -> None:
    """By Celery's own option, passed on like any other."""
    arguments = celery_arguments(named)
    assert arguments[-len(named) :] == named
    assert sum(argument.startswith(("--hostname", "-n")) for argument in arguments) == 1


def test_a_worker_is_celerys_and_starts_again_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """At a SIGHUP Celery runs this interpreter with `sys.argv`; the collector waits while it loads."""
    calls: list[tuple[list[str], Any]] = []
    monkeypatch.setattr(command, "main", lambda arguments, *, obj, **_: calls.append((arguments, obj.app)))
    monkeypatch.setattr(sys, "argv", ["worker/__main__.py", "-n", "a@b"])
    try:
        start_worker(["-n", "a@b"])
        assert not gc.isenabled()
    finally:
        gc.enable()
    assert calls == [(celery_arguments(["-n", "a@b"]), app)]
    assert sys.argv == ["-m", "worker", "-n", "a@b"]


# --- the keeper's process ---------------------------------------------------------------------------


class Process:
    """A child process that ends when it is told to."""

    def __init__(self, command: list[str], **options: Any) -> None:
        self.command, self.options = command, options
        self.returncode: int | None = None
        self.is_stubborn = False
        self.signals: list[str] = []

    def poll(self) -> int | None:
        return self.returncode

    def terminate(self) -> None:
        self.signals.append("TERM")

    def kill(self) -> None:
        self.signals.append("KILL")

    def wait(self, seconds: float) -> None:
        if self.is_stubborn:
            raise bootsteps.subprocess.TimeoutExpired("keeper", seconds)


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> list[Process]:
    """What would have been started."""
    found: list[Process] = []

    def start(command: list[str], **options: Any) -> Process:
        found.append(Process(command, **options))
        return found[-1]

    monkeypatch.setattr(keeper_process.subprocess, "Popen", start)
    return found


@pytest.fixture
def parent(processes: list[Process], monkeypatch: pytest.MonkeyPatch) -> Any:
    """A worker whose keeper was started before its steps were made, as a program of its own."""
    monkeypatch.setattr(keeper_process.sys, "platform", "darwin")
    found = SimpleNamespace(hostname="w1@gpu", timer=Timer())
    bootsteps.start_early(found.hostname, found)
    assert len(processes) == 1
    return found


def test_the_keeper_is_started_again_whenever_it_ends(parent: Any, processes: list[Process]) -> None:
    """In a session of its own, with the worker's name and process."""
    KeeperStep(parent).start(parent)
    (keeper,) = processes
    assert keeper.command[1:] == ["-m", "worker.keeper", "w1@gpu", str(os.getpid())]
    assert keeper.options == {"start_new_session": True}
    ((_, watch),) = parent.timer.repeated
    watch()
    assert len(processes) == 1
    keeper.returncode = -9
    watch()
    assert len(processes) == 2
    assert processes[1].command == keeper.command


@pytest.mark.parametrize(("is_stubborn", "signals"), [(False, ["TERM"]), (True, ["TERM", "KILL"])])
def test_the_keeper_ends_with_its_worker(
    parent: Any, processes: list[Process], is_stubborn: bool, signals: list[str]
) -> None:
    """If need be by force."""
    step = KeeperStep(parent)
    step.start(parent)
    processes[0].is_stubborn = is_stubborn
    step.stop(parent)
    assert (processes[0].signals, parent.timer.cancelled) == (signals, 1)


def test_a_keeper_ends_with_a_worker_that_never_became_ready(parent: Any, processes: list[Process]) -> None:
    """A worker may be stopped while it starts."""
    KeeperStep(parent).stop(parent)
    assert processes[0].signals == ["TERM"]


# --- the queues -------------------------------------------------------------------------------------


class Consumer:
    """The part of Celery's consumer that adds and drops queues."""

    def __init__(self, *queues: str) -> None:
        self.hostname = "w1@gpu"
        self.timer = Timer()
        self.queues = dict.fromkeys(queues)
        self.app = SimpleNamespace(amqp=SimpleNamespace(queues=SimpleNamespace(consume_from=self.queues)))

    def add_task_queue(self, name: str) -> None:
        self.queues[name] = None

    def cancel_task_queue(self, name: str) -> None:
        del self.queues[name]


def _queue_step(client: Any, consumer: Consumer) -> QueueStep:
    step = QueueStep(consumer)
    step._redis = client
    return step


def test_a_worker_consumes_the_queues_of_its_ollamas_models(redis_client: Any) -> None:
    """Models come and go; the intake stays."""
    consumer = Consumer("celery", "ollama.gone")
    step = _queue_step(redis_client, consumer)
    step.start(consumer)
    assert set(consumer.queues) == {"celery", "ollama.gone"}  # nothing is known yet
    models = [InstalledModel("alpha"), InstalledModel("beta:7b")]
    report_worker(redis_client, WorkerReport("w1@gpu", "h", "u", True, 1, 0.0, models=models))
    ((_, watch),) = consumer.timer.repeated
    watch()
    assert set(consumer.queues) == {"celery", "ollama.alpha", "ollama.beta:7b"}
    step.stop(consumer)
    assert consumer.timer.cancelled == 1


def test_a_worker_gives_back_what_its_namesake_had_taken(redis_client: Any) -> None:
    """Once, as it starts; by then nothing of it is its own."""
    consumer = Consumer("celery")
    step = _queue_step(redis_client, consumer)
    taken, _ = taken_keys(consumer.hostname)
    entry = json.dumps([{"headers": {"id": "1"}, "properties": {"priority": 5}}, "", "celery"])
    for _ in range(2):
        redis_client.hset(taken, "tag", entry)
        step.start(consumer)
    assert redis_client.hkeys(taken) == ["tag"]
    assert redis_client.llen(list_names("celery")[5]) == 1


def test_without_redis_the_queues_stay() -> None:
    """The consumer itself notices and comes back."""
    consumer = Consumer("celery", "ollama.alpha")
    nobody = redis.Redis.from_url("unix:///tmp/no-such-valkey.sock")
    _queue_step(nobody, consumer).start(consumer)
    assert set(consumer.queues) == {"celery", "ollama.alpha"}


# --- draining ---------------------------------------------------------------------------------------


@pytest.fixture
def alarms(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, float]]:
    """Which timers would have been set; signals stay as they are."""
    found: list[tuple[float, float]] = []
    monkeypatch.setattr(drain.signal, "signal", lambda *_: None)
    monkeypatch.setattr(drain.signal, "setitimer", lambda _kind, *seconds: found.append(seconds))
    return found


def _drain_step(*pids: int) -> DrainStep:
    children = [SimpleNamespace(pid=pid) for pid in pids]
    parent = SimpleNamespace(pool=SimpleNamespace(_pool=SimpleNamespace(_pool=children)))
    step = DrainStep(parent)
    step.start(parent)
    drain.worker_shutting_down.disconnect(step._arm)
    return step


@pytest.mark.parametrize(("how", "seconds"), [("Warm", 30.0), ("Cold", 0.001), ("", 0.001)])
def test_a_shutdown_gives_running_jobs_their_time(
    alarms: list[tuple[float, float]], how: str, seconds: float
) -> None:
    """A warm one DRAIN_SECONDS, any other none; a second signal does not start the time anew."""
    step = _drain_step()
    step._arm(how)
    step._arm(how)
    assert alarms == [(seconds, 1.0)]


def test_then_every_child_is_told(alarms: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """One that has gone already is no error."""
    told: list[tuple[int, int]] = []

    def kill(pid: int, number: int) -> None:
        told.append((pid, number))
        if pid == 1:
            raise ProcessLookupError

    monkeypatch.setattr(drain.os, "kill", kill)
    _drain_step(1, 2)._drain()
    assert told == [(1, signal.SIGUSR1), (2, signal.SIGUSR1)]


def test_a_child_that_is_told_stops_its_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the handler that the task's body installs."""
    installed: dict[int, Any] = {}
    drained: list[bool] = []
    monkeypatch.setattr(drain.signal, "signal", installed.__setitem__)
    lease = SimpleNamespace(drain=lambda: drained.append(True))
    monkeypatch.setattr(child, "_children", [SimpleNamespace(lease=lease)])
    monkeypatch.setattr(drain.billiard_pool, "GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT", 5)
    drain.listen_for_drain()
    installed[signal.SIGUSR1](signal.SIGUSR1, None)
    assert drained == [True]
    # Nor does it wait for its parent to read what came of it.
    assert drain.billiard_pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT == 0


# --- children ---------------------------------------------------------------------------------------


def test_a_child_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """When its last events are out; billiard would have it sleep for a second."""
    done: list[Any] = []
    events = SimpleNamespace(flush=lambda: done.append("flushed"))
    monkeypatch.setattr(child, "_children", [SimpleNamespace(events=events)])
    monkeypatch.setattr(child.os, "_exit", done.append)
    child._on_process_shutdown(pid=1, exitcode=3, sender="w1@gpu")
    assert done == ["flushed", 3]


def test_a_child_has_everything_for_itself(resources: Resources, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made after the fork: connections, threads, and a process group that signals to the parent's miss."""
    started: list[str] = []
    monkeypatch.setattr(child.os, "setpgrp", lambda: started.append("group"))
    monkeypatch.setattr(child, "_children", [])
    monkeypatch.setattr(child, "pool_connections", lambda pooled: started.append(f"pooled {pooled}"))
    for thread in (child.LeaseThread, child.EventStream):
        monkeypatch.setattr(thread, "start", lambda self: started.append(self.name))
    child._on_process_init("w1@gpu")
    assert started == ["group", "pooled True", "lease", "events"]
    assert child.this_child().worker == "w1@gpu"
    assert child.this_child().resources is resources
    child.this_child().transport.close()


# --- revoking ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("terminate", "running"), [(False, Status.PROCESSING), (True, Status.CANCELLED)])
def test_revoke_cancels_the_row(resources: Resources, terminate: bool, running: Status) -> None:
    """Waiting jobs, and with terminate running ones; what has ended or is unknown is left alone."""
    jobs = {status: make(resources.service, status) for status in (Status.PENDING, Status.PROCESSING)}
    done = make(resources.service, Status.COMPLETED)
    answer = revoking.revoke(None, [*jobs.values(), done, "nobody"], terminate=terminate, signal="KILL")
    assert "ok" in answer
    assert row(resources.service, jobs[Status.PENDING]).status == Status.CANCELLED
    assert row(resources.service, jobs[Status.PROCESSING]).status == running
    assert row(resources.service, done).status == Status.COMPLETED


def test_one_id_may_be_revoked(resources: Resources) -> None:
    """Celery sends a text or a list."""
    job_id = make(resources.service, Status.PENDING)
    revoking.revoke(None, job_id)
    assert row(resources.service, job_id).status == Status.CANCELLED
    revoking.revoke(None, None)
