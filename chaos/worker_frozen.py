"""SIGSTOP a worker past its lease, then SIGCONT: its run is stale; also with an outage between the claims."""

import time
from collections.abc import Iterator
from random import Random

from chaos.figure import Figure, exactly
from chaos.machine import Machine
from chaos.process import eventually, thaw
from chaos.verdict import attempts_used, intact
from jobs.states import Status

SHORT = {"times": 1}
TOKENS, TOKENS_PER_SECOND = 30, 20


def measure(random: Random, *, times: int = 4) -> Iterator[Figure]:
    """Every second time Ollama is away between the two claims."""
    with Machine(slots=1, tokens_per_second=TOKENS_PER_SECOND, ollama_slots=2) as machine:
        machine.start_worker()
        machine.start_worker()
        stale = 0
        ids: list[str] = []
        for number in range(times):
            thawed, job_id = _freeze_and_take_over(machine, random, number, with_outage=number % 2 == 1)
            ids.append(job_id)
            stale += thawed
        yield exactly("stale runs that changed nothing", stale, times)
        yield from intact(machine, ids, tokens=TOKENS)
        yield exactly("attempts used, one for each lost worker", attempts_used(machine, ids), times)


def _freeze_and_take_over(
    machine: Machine, random: Random, number: int, *, with_outage: bool
) -> tuple[bool, str]:
    job_id = machine.submit(f"survivor {number}", tokens=TOKENS).job_id
    eventually(lambda: machine.served.starts()[job_id])
    time.sleep(random.uniform(0.0, 0.5))
    name = machine.job(job_id).worker
    worker = machine.workers[int(str(name).split("@")[0].removeprefix("worker-")) - 1]
    stopped = worker.freeze()
    if with_outage:
        machine.ollama.kill()
        eventually(lambda: machine.job(job_id).attempts == 1, within=15)
        time.sleep(1)
        machine.ollama.start()
    eventually(lambda: _claimed_again(machine, job_id), within=20)
    thaw(stopped)
    eventually(lambda: machine.job(job_id).status == Status.COMPLETED, within=20)
    job = machine.job(job_id)
    time.sleep(2)  # the stale run has had its say
    after = machine.job(job_id)
    return (after.worker, after.claim, after.completed_at) == (job.worker, job.claim, job.completed_at) and (
        job.worker != name
    ), job_id


def _claimed_again(machine: Machine, job_id: str) -> bool:
    job = machine.job(job_id)
    return job.claim >= 2 and job.status == Status.PROCESSING
