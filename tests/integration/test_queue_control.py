"""Moving, pausing, clearing and the history of jobs, with a real worker behind them."""

import time
from collections.abc import Iterator

import pytest

from jobs.history import read_history
from jobs.models import Job
from jobs.scheduling.overlap import SHORT_SECONDS
from jobs.states import Status
from tasks import generate, queue_control
from tasks.moving import move_job
from tests.integration.system import System, Worker, eventually
from tests.simulator_process import SimulatorProcess

OPTIONS = ("--models", "alpha,beta", "--parallel", "1", "--tokens-per-second", "100", "--load-seconds", "0.2")
POLLED_SECONDS = 0.5  # what the worker has asked Redis for already, it takes
LONG, SHORT = {"num_predict": 80}, {"num_predict": 5}

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture(scope="module")
def ollama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    """One slot, a token each 10 ms."""
    process = SimulatorProcess(tmp_path_factory.mktemp("ollama"), *OPTIONS)
    yield process
    process.stop()


@pytest.fixture(scope="module")
def worker(system: System) -> Iterator[Worker]:
    """One worker with one slot."""
    process = system.start_worker("control", slots=1)
    yield process
    process.stop()


def submit(model: str = "alpha", options: dict[str, int] = SHORT, priority: int = 5) -> str:
    arguments = ("x",), {"model": model, "options": options}
    return str(generate.apply_async(*arguments, priority=priority).id)


def ended(system: System, job_id: str) -> Job:
    eventually(lambda: Status(system.job(job_id).status).is_complete, within=30)
    return system.job(job_id)


def running(system: System) -> str:
    """A job that fills the only slot for most of a second, and is seen to be long: nothing overlaps it."""
    job_id = submit(options=LONG)
    eventually(lambda: system.job(job_id).status == Status.PROCESSING)
    time.sleep(2 * SHORT_SECONDS)
    return job_id


def test_a_moved_job_starts_before_the_others(system: System) -> None:
    """It was the last; its old message starts nothing."""
    running(system)
    others = [submit() for _ in range(3)]
    last = submit()
    move_job(last, 0)
    started = {job_id: ended(system, job_id).started_at for job_id in (last, *others)}
    assert min(started, key=lambda job_id: started[job_id] or 0) == last
    assert system.generated(last) == 1


def test_a_job_that_is_moved_back_starts_last(system: System) -> None:
    """Less urgent than those that came after it."""
    running(system)
    first = submit()
    others = [submit() for _ in range(3)]
    move_job(first, 9)
    started = {job_id: ended(system, job_id).started_at for job_id in (first, *others)}
    assert max(started, key=lambda job_id: started[job_id] or 0) == first


def test_a_paused_model_waits_while_another_runs(system: System) -> None:
    """Its jobs are accepted, and start when it is resumed."""
    queue_control.pause("alpha")
    time.sleep(POLLED_SECONDS)
    try:
        waiting, other = submit(), submit("beta")
        assert ended(system, other).status == Status.COMPLETED
        assert system.job(waiting).status == Status.PENDING
    finally:
        queue_control.resume("alpha")
    assert ended(system, waiting).status == Status.COMPLETED


def test_a_cleared_queue_runs_nothing_more(system: System) -> None:
    """What waits is cancelled, what runs is finished, and what comes next runs at once."""
    at_work = running(system)
    waiting = [submit() for _ in range(20)]
    assert queue_control.clear("alpha") == len(waiting)
    after = submit()
    assert ended(system, at_work).status == Status.COMPLETED
    assert ended(system, after).status == Status.COMPLETED
    assert {system.job(job_id).status for job_id in waiting} == {Status.CANCELLED}
    assert not any(system.generated(job_id) for job_id in waiting)


def test_the_history_of_a_real_job(system: System) -> None:
    """Every step is there, in the order in which it came."""
    job_id = submit()
    ended(system, job_id)
    with system.database.reading() as session:
        found = read_history(session, session.get_one(Job, job_id))
    assert [moment.event for moment in found] == [
        *("submitted", "released", "published", "claimed"),
        *("model_loaded", "first_token", "completed"),
    ]
    assert [moment.at for moment in found] == sorted(moment.at for moment in found)
