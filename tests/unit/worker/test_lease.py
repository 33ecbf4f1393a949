"""The lease of the job that runs: renewed, or learnt to be gone."""

from typing import Any

import pytest
import redis
from sqlalchemy.exc import OperationalError

from jobs.service import JobService
from tests.support.jobs import OUTCOME, running
from worker import lease as lease_module
from worker.lease import LeaseThread


class Stop(Exception):
    """Ends a thread's endless loop."""


@pytest.fixture
def lease(service: JobService) -> LeaseThread:
    """A lease thread that is not started, without Redis."""
    return LeaseThread(service, redis.Redis.from_url("unix:///tmp/no-such-valkey.sock"))


def test_a_renewed_run_goes_on(lease: LeaseThread, service: JobService) -> None:
    """Nothing is said to it."""
    with lease.hold(running(service, now=None)) as run:
        lease.renew(run)
        assert not run.lost
        assert not run.cancellation.cancelled


def test_a_cancelled_run_stops(lease: LeaseThread, service: JobService) -> None:
    """Its call to Ollama is ended."""
    claimed = running(service)
    with lease.hold(claimed) as run:
        service.cancel(claimed.job_id)
        lease.renew(run)
        assert (run.lost, run.cancellation.cancelled) == (True, True)


def test_an_unreachable_database_stops_nothing(
    lease: LeaseThread, service: JobService, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It says neither that the lease is kept nor that it is lost."""

    def away(*_: Any) -> bool:
        raise OperationalError("UPDATE", {"prompt": "my secret"}, Exception("away"))

    monkeypatch.setattr(service, "renew", away)
    with lease.hold(running(service)) as run:
        lease.renew(run)
        assert not run.lost
    assert "lease not renewed" in caplog.text
    assert "my secret" not in caplog.text


def test_without_a_run_there_is_nothing_to_renew(lease: LeaseThread) -> None:
    """Between two jobs."""
    lease.renew(None)


def test_a_run_that_ended_meanwhile_is_not_lost(lease: LeaseThread, service: JobService) -> None:
    """A renewal that comes a moment after the finish must not stop the next job."""
    claimed = running(service)
    with lease.hold(claimed) as run:
        service.finish(claimed.job_id, claimed.claim, OUTCOME)
    lease.renew(run)
    assert not run.lost


def test_draining_stops_the_run_and_those_to_come(lease: LeaseThread, service: JobService) -> None:
    """They are drained, not lost."""
    lease.drain()
    lease = LeaseThread(service, lease._client)
    with lease.hold(running(service)) as run:
        lease.drain()
        assert (run.drained, run.lost, run.cancellation.cancelled) == (True, False, True)
    with lease.hold(running(service)) as run:
        assert run.drained


class Script:
    """A lease thread's time and messages, step by step."""

    def __init__(self, *steps: tuple[float, str | None]) -> None:
        self.now = 0.0
        self._steps = list(steps)

    def monotonic(self) -> float:
        return self.now

    def listen(self, _seconds: float) -> str | None:
        if not self._steps:
            raise Stop
        self.now, told = self._steps.pop(0)
        return told


def _play(
    lease: LeaseThread, monkeypatch: pytest.MonkeyPatch, *steps: tuple[float, str | None]
) -> list[float]:
    """Run the thread's loop by a script; returns when it renewed."""
    script = Script(*steps)
    renewed: list[float] = []
    monkeypatch.setattr(lease_module, "time", script)
    monkeypatch.setattr(lease, "_listen", script.listen)
    monkeypatch.setattr(lease, "renew", lambda _run: renewed.append(script.now))
    with pytest.raises(Stop):
        lease.run()
    return renewed


def test_it_renews_every_second(
    lease: LeaseThread, service: JobService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not more often for messages about others' jobs."""
    with lease.hold(running(service)):
        steps = [(0.5, "another"), (1.0, None), (1.5, "another"), (2.0, None), (2.1, None)]
        assert _play(lease, monkeypatch, *steps) == [1.0, 2.0]


def test_it_looks_at_once_when_its_job_is_cancelled(
    lease: LeaseThread, service: JobService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told over Redis."""
    claimed = running(service)
    with lease.hold(claimed):
        assert _play(lease, monkeypatch, (0.2, claimed.job_id)) == [0.2]


def test_it_hears_of_cancelled_jobs(service: JobService, redis_client: Any) -> None:
    """By the channel that cancelling uses."""
    lease = LeaseThread(service, redis_client)
    assert lease._listen(0.1) is None  # the first call subscribes
    redis_client.publish("paddock:cancelled", "j1")
    assert "j1" in (lease._listen(1.0) for _ in range(2))  # the subscription's own answer may come first
    lease._pubsub.close()


def test_without_redis_it_waits_by_itself(lease: LeaseThread, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or it would spin."""
    slept: list[float] = []
    monkeypatch.setattr(lease_module.time, "sleep", slept.append)
    assert lease._listen(0.7) is None
    assert slept == [0.7]


def test_a_child_ends_with_its_parent(lease: LeaseThread, monkeypatch: pytest.MonkeyPatch) -> None:
    """An orphan would go on renewing."""
    killed: list[tuple[int, int]] = []
    monkeypatch.setattr(lease_module.os, "kill", lambda *args: killed.append(args))
    lease._end_with_parent()
    assert killed == []
    monkeypatch.setattr(lease_module.os, "getppid", lambda: 1)
    monkeypatch.setattr(lease, "_parent", 4711)
    lease._end_with_parent()
    assert [number for _, number in killed] == [9]
