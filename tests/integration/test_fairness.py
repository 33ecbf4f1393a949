"""One key's flood, and another key's few jobs, on a real worker."""

import statistics
import time
from collections.abc import Iterator

import pytest
from celery.result import AsyncResult
from sqlalchemy import func, select, update

from jobs.models import IS_PENDING, IS_RELEASED, Job
from jobs.states import Status
from tasks import generate
from tasks.queue_lists import count_lined_up
from tests.integration.system import System, Worker, eventually

SLOTS = 4
TOKENS = 20
JOB_SECONDS = 0.4  # shorter ones would measure the machine
EVERY_SECONDS = 0.4
LIGHT_JOBS = 15
FLOOD = 600
LINE_UP = 100
AT_MOST = 4.0  # times as long as without the flood
pytestmark = pytest.mark.alone


@pytest.fixture
def flooded_worker(system: System) -> Iterator[Worker]:
    """A worker of four slots, jobs that take 400 ms, and short line-ups; afterwards nothing waits."""
    system.ollama.control(tokens_per_second=TOKENS / JOB_SECONDS)
    worker = system.start_worker("flooded", slots=SLOTS, PADDOCK_LINE_UP=str(LINE_UP))
    yield worker
    with system.database.writing() as session:
        session.execute(update(Job).where(IS_PENDING).values(status=Status.CANCELLED))
    system.ollama.control(tokens_per_second=0)
    eventually(lambda: _count(system, Job.status == Status.PROCESSING) == 0)
    worker.stop()
    system.redis.flushall()


def _submit(key_id: str, count: int = 1) -> list[AsyncResult]:
    return [
        generate.apply_async(
            (f"{key_id} {number}",),
            {"model": "alpha", "options": {"num_predict": TOKENS}},
            headers={"key_id": key_id},
        )
        for number in range(count)
    ]


def _count(system: System, *condition: object) -> int:
    with system.database.reading() as session:
        return session.execute(select(func.count()).select_from(Job).where(*condition)).scalar_one()  # type: ignore[arg-type]


def _turnarounds(system: System, count: int) -> list[float]:
    """Of a light key's jobs, sent at a steady rate whether or not those before are done."""
    began = time.monotonic()
    results = []
    for number in range(count):
        time.sleep(max(0.0, began + number * EVERY_SECONDS - time.monotonic()))
        results += _submit("light")
    for result in results:
        result.get(timeout=60)
    jobs = [system.job(result.id) for result in results]
    return [(job.completed_at - job.created_at).total_seconds() for job in jobs if job.completed_at]


def test_a_light_key_is_served_beside_a_flood(system: System, flooded_worker: Worker) -> None:
    """Its 95th percentile is at most four times that without the flood."""
    _turnarounds(system, 3)  # connections are warm
    alone = _turnarounds(system, LIGHT_JOBS)
    flood = _submit("flooder", FLOOD)
    eventually(lambda: _count(system, IS_PENDING, IS_RELEASED) <= LINE_UP, within=10)
    _turnarounds(system, 3)  # the sweep has seen both
    beside = _turnarounds(system, LIGHT_JOBS)
    lined_up = sum(count_lined_up(system.redis, ["alpha"])["alpha"].values())
    first, second = (statistics.quantiles(times, n=20, method="inclusive")[-1] for times in (alone, beside))
    assert second <= AT_MOST * first, (first, second)
    assert lined_up <= 2 * 2 * SLOTS
    assert max(system.generated(result.id) for result in flood[:100]) == 1
