"""Kill one prefork child; and a job that kills its child each time it runs."""

import os
import signal
import time
from collections.abc import Iterator
from random import Random

from chaos.figure import Figure, at_most, exactly
from chaos.machine import Machine, name_of
from chaos.process import eventually
from chaos.verdict import attempt_codes, intact, runs_again
from jobs.states import Status

SHORT = {"times": 1}
TOKENS, TOKENS_PER_SECOND = 40, 20


def measure(random: Random, *, times: int = 5) -> Iterator[Figure]:
    """Four slots busy; one child dies, `times` over; then one job's child each time."""
    with Machine(tokens_per_second=TOKENS_PER_SECOND, ollama_slots=8) as machine:
        worker = machine.start_worker()
        interrupted: dict[str, float] = {}
        ids: list[str] = []
        for number in range(times):
            ids += machine.submit_many(4, text=f"survivor {number}", tokens=TOKENS)
            eventually(lambda: len(machine.running()) == 4)
            os.kill(random.choice(machine.busy_children(worker)), signal.SIGKILL)
            at = time.time()
            interrupted |= dict.fromkeys(machine.running(), at)
            machine.wait_until_ended(ids, within=30)
        jobs = machine.jobs()
        struck = {job_id: at for job_id, at in interrupted.items() if jobs[job_id].attempts}
        yield exactly("jobs that lost an attempt", len(struck), times)
        yield at_most("runs again after", max(runs_again(machine, struck), default=0.0), 10.0, " s")
        yield from intact(machine, ids, tokens=TOKENS)
        yield from _killer(machine, name_of(machine, worker))


def _killer(machine: Machine, name: str) -> Iterator[Figure]:
    """A job that kills whatever child runs it, and one beside it that must not suffer."""
    worker = machine.workers[0]
    killer = machine.submit("killer", tokens=1000).job_id
    for claim in (1, 2, 3):
        eventually(lambda: machine.job(killer).claim == claim and machine.running(name), within=20)
        eventually(lambda: len(machine.served.starts()[killer]) == claim, within=10)
        for child in worker.children():
            os.kill(child, signal.SIGKILL)
    eventually(lambda: machine.job(killer).status == Status.FAILED, within=20)
    codes = attempt_codes(machine, killer)
    yield exactly("a job that kills its child: attempts", " ".join(codes), " ".join(["worker_lost"] * 3))
    yield exactly("and its end", machine.job(killer).status, "failed")
    after = machine.submit("after the killer")
    machine.wait_until_ended([after.job_id], within=15)
    yield exactly("the worker goes on", machine.job(after.job_id).status, "completed")
