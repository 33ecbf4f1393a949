"""Cancel queued jobs, running ones and such as end in this moment, then retry them; Flower's buttons."""

import time
from collections.abc import Iterator
from random import Random

import requests

from chaos.figure import Figure, at_most, exactly, told
from chaos.machine import ENDED, Machine
from chaos.process import eventually
from jobs.states import Status

SHORT = {"times": 9}
TOKENS, TOKENS_PER_SECOND = 10, 50
RUNS_SECONDS = TOKENS / TOKENS_PER_SECOND


def measure(random: Random, *, times: int = 200) -> Iterator[Figure]:
    """A third each: while it waits, while it runs, about when it completes; all retried afterwards."""
    with Machine(tokens_per_second=TOKENS_PER_SECOND) as machine:
        machine.start_worker()
        tried = [_cancel_one(machine, random, number) for number in range(times)]
        time.sleep(2)
        jobs = machine.jobs()
        left = sum(jobs[job_id].status != status for job_id, _, status in tried)
        yield exactly("final states that were left by themselves", left, 0)
        wrong = sum((answer == 202) != (status == Status.CANCELLED) for _, answer, status in tried)
        yield exactly("202 and not cancelled, or 409 and cancelled", wrong, 0)
        cancelled = [job_id for job_id, _, status in tried if status == Status.CANCELLED]
        yield told("cancelled; the others had completed", len(cancelled))
        yield from _retry(machine, cancelled)
        yield from _stops(machine, random, times=max(3, times // 20))
        yield from _flower(machine)


def _cancel_one(machine: Machine, random: Random, number: int) -> tuple[str, int, str]:
    """Its id, the cancel's answer, and its final state."""
    job_id = machine.submit(f"survivor {number}", tokens=TOKENS).job_id
    if number % 3:
        eventually(lambda: machine.served.entries("start", job=job_id), every=0.005)
        time.sleep(0.0 if number % 3 == 1 else random.uniform(RUNS_SECONDS - 0.04, RUNS_SECONDS + 0.04))
    answer = machine.cancel(job_id)
    final = eventually(lambda: _final(machine, job_id), within=10)
    return job_id, answer, str(final)


def _final(machine: Machine, job_id: str) -> str | None:
    status = machine.job(job_id).status
    return status if status in ENDED else None


def _retry(machine: Machine, job_ids: list[str]) -> Iterator[Figure]:
    answers = {machine.ask("POST", f"/api/llm/jobs/{job_id}/retry/").status_code for job_id in job_ids}
    machine.wait_until_ended(job_ids, within=60)
    jobs = machine.jobs()
    yield exactly("retries answered", sorted(answers), [202])
    yield exactly("retried and not completed", sum(jobs[i].status != Status.COMPLETED for i in job_ids), 0)


def _stops(machine: Machine, random: Random, *, times: int) -> Iterator[Figure]:
    """How soon Ollama no longer works on a cancelled job."""
    waits = []
    for number in range(times):
        job_id = machine.submit(f"long {number}", tokens=2000).job_id
        eventually(lambda: machine.served.entries("start", job=job_id))
        time.sleep(random.uniform(0.0, 0.3))
        asked = time.time()
        machine.cancel(job_id)
        waits.append(_stopped_at(machine, job_id) - asked)
    yield at_most("generation stopped after", max(waits), 1.0, " s")


def _stopped_at(machine: Machine, job_id: str) -> float:
    ends = eventually(lambda: machine.served.entries("end", job=job_id, outcome="client_gone"), within=10)
    return float(ends[-1]["at"])


def _flower(machine: Machine) -> Iterator[Figure]:
    """Revoke for one that waits, Terminate for one that runs."""
    url = machine.start_flower()
    running = [machine.submit(f"busy {number}", tokens=2000).job_id for number in range(machine.slots)]
    for job_id in running:
        eventually(lambda: machine.served.entries("start", job=job_id))
    waiting = machine.submit("waits").job_id
    requests.post(f"{url}/api/task/revoke/{waiting}", timeout=10)
    asked = time.time()
    requests.post(f"{url}/api/task/revoke/{running[0]}", params={"terminate": "true"}, timeout=10)
    stopped = _stopped_at(machine, running[0]) - asked
    eventually(lambda: _final(machine, waiting), within=10)
    yield exactly("Flower's Revoke", machine.job(waiting).status, Status.CANCELLED.value)
    yield exactly("Flower's Terminate", machine.job(running[0]).status, Status.CANCELLED.value)
    yield at_most("generation stopped after Terminate", stopped, 1.0, " s")
    for job_id in running[1:]:
        machine.cancel(job_id)
