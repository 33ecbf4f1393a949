"""Jobs outlive workers, children, messages and outages, and run once to effect."""

import os
import signal
import time
from collections.abc import Iterator

import pytest
from celery.result import AsyncResult

from jobs.instants import utc_now
from jobs.states import Status
from ollama_client.simulator.answers import expected_text
from tasks import generate
from tasks.cancelling import cancel_quietly
from tests.integration.system import System, Worker, eventually
from tests.support.jobs import SECOND

SLOTS = 4
DRAIN_SECONDS = 1.0


@pytest.fixture(scope="module")
def survivor(system: System) -> Iterator[Worker]:
    """The worker to which all of it happens."""
    process = system.start_worker("own")
    yield process
    process.stop()


@pytest.fixture
def own_worker(survivor: Worker) -> Worker:
    """It, alive: a test that failed may have left it killed."""
    if survivor.process.poll() is not None:
        survivor.start()
    return survivor


def submit(count: int, **options: object) -> list[AsyncResult]:
    return [
        generate.delay(f"survivor {number}", model="alpha", options=options or None)
        for number in range(count)
    ]


def check_answers(system: System, results: list[AsyncResult], tokens: int = 5) -> None:
    """Every job completed with the answer to its own prompt."""
    for number, result in enumerate(results):
        assert result.get(timeout=60)["text"] == expected_text(
            "generate", "alpha", f"survivor {number}", tokens
        )


# First, since it has the system to itself: the others share one worker.
def test_a_drained_worker_hands_its_jobs_back(system: System) -> None:
    """When its time is up a stopping worker returns what it runs, at no cost of an attempt, and is gone."""
    worker = system.start_worker("drained", PADDOCK_DRAIN_SECONDS=str(DRAIN_SECONDS))
    system.ollama.control(tokens_per_second=20)
    results = submit(6, num_predict=1000)
    try:
        eventually(lambda: len(system.ollama.started(job=results[0].id)) == 1)
        os.killpg(worker.pid, signal.SIGTERM)
        worker.process.wait(DRAIN_SECONDS + 2)
        jobs = [system.job(result.id) for result in results]
        assert {(job.status, job.attempts) for job in jobs} == {(Status.PENDING, 0)}
    finally:
        worker.stop()
        system.ollama.control(tokens_per_second=0)
        for result in results:
            cancel_quietly(result.id)  # no worker is there to hear a revoke


def test_a_killed_worker_loses_nothing(system: System, own_worker: Worker) -> None:
    """50 jobs, the worker killed among them: all complete, and only what it was at runs again, soon."""
    system.ollama.control(tokens_per_second=50)
    try:
        results = submit(50, num_predict=10)
        ids = [result.id for result in results]
        eventually(lambda: len(system.ollama.ended(outcome="done")) >= 5)
        own_worker.kill()
        # Its keeper sees it end: the leases alone would last for four seconds and more.
        eventually(lambda: "ended without a word" in own_worker.log())
        leases = [job.lease_until for job in map(system.job, ids) if job.status == Status.PROCESSING]
        assert leases
        assert max(leases) < utc_now() + 2 * SECOND
        own_worker.start()
        check_answers(system, results, tokens=10)
    finally:
        system.ollama.control(tokens_per_second=0)
    jobs = [system.job(job_id) for job_id in ids]
    assert not system.redis.exists("unacked")  # kombu's own key, one for all workers
    assert sum(job.claim - 1 for job in jobs) == sum(job.attempts for job in jobs) <= SLOTS
    assert [job.worker_losses for job in jobs] == [job.attempts for job in jobs]  # held against none of them
    assert sum(system.generated(job.id) - 1 for job in jobs) <= SLOTS


def test_a_killed_child_costs_its_job_one_attempt(system: System, own_worker: Worker) -> None:
    """The job runs again within ten seconds, and the worker goes on."""
    system.ollama.control(tokens_per_second=20)
    try:
        result = submit(1, num_predict=1000)[0]
        eventually(lambda: system.ollama.started(job=result.id))
        for child in own_worker.children():
            os.kill(child, signal.SIGKILL)
        killed = time.monotonic()
        eventually(lambda: len(system.ollama.started(job=result.id)) == 2, within=10)
        assert time.monotonic() - killed < 10
        job = system.job(result.id)
        assert (job.attempts, job.worker_losses) == (1, 0)
    finally:
        system.ollama.control(tokens_per_second=0)
        result.revoke(terminate=True)


def test_a_flushed_redis_loses_nothing(system: System, own_worker: Worker) -> None:
    """The reconciler publishes again what FLUSHALL took."""
    results = submit(100)
    system.redis.flushall()
    check_answers(system, results)
    assert max(system.generated(result.id) for result in results) == 1


def test_a_killed_valkey_loses_nothing(system: System, own_worker: Worker) -> None:
    """Jobs submitted before, during and after its absence all complete."""
    results = submit(30)
    system.kill_valkey()
    results += [generate.delay(f"survivor {number}", model="alpha") for number in range(30, 40)]
    time.sleep(1)
    system.start_valkey()
    results += [generate.delay(f"survivor {number}", model="alpha") for number in range(40, 50)]
    check_answers(system, results)


def test_a_stale_run_is_rejected(system: System, own_worker: Worker) -> None:
    """A worker that slept past its lease changes nothing when it wakes up."""
    system.ollama.control(tokens_per_second=20)
    try:
        result = submit(1, num_predict=60)[0]
        eventually(lambda: system.ollama.started(job=result.id))
        processes = [own_worker.pid, *own_worker.children()]
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        other = system.start_worker("other")
        try:
            eventually(lambda: system.job(result.id).claim == 2, within=15)
            for process in processes:
                os.kill(process, signal.SIGCONT)
            answer = result.get(timeout=30)
            assert answer["output_tokens"] == 60
            job = system.job(result.id)
            assert (job.claim, job.attempts, job.status) == (2, 1, Status.COMPLETED)
        finally:
            other.stop()
    finally:
        system.ollama.control(tokens_per_second=0)


def test_an_ollama_that_is_away_costs_nothing(system: System, own_worker: Worker) -> None:
    """Jobs wait for a killed Ollama and complete without an attempt used."""
    results = submit(10)
    system.ollama.kill()
    results += [generate.delay(f"survivor {number}", model="alpha") for number in range(10, 15)]
    time.sleep(2)
    system.ollama.start()
    check_answers(system, results)
    assert {system.job(result.id).attempts for result in results} == {0}
