"""Ollama is killed and restarted under load, and away for two minutes."""

import time
from collections.abc import Iterator
from random import Random

from chaos.figure import Figure, at_most, exactly
from chaos.machine import Machine
from chaos.process import eventually
from chaos.verdict import attempts_used, intact
from jobs.states import Status

SHORT = {"jobs": 60, "kills": 1, "away_seconds": 8.0}
TOKENS, TOKENS_PER_SECOND = 5, 20
SHORT_OUTAGE_SECONDS = 3.0


def measure(
    random: Random, *, jobs: int = 500, kills: int = 3, away_seconds: float = 120.0
) -> Iterator[Figure]:
    """`kills` short outages among `jobs`, then a long one with jobs that wait."""
    with Machine(tokens_per_second=TOKENS_PER_SECOND) as machine:
        machine.start_worker()
        ids = machine.submit_many(jobs, tokens=TOKENS)
        waits = []
        for _ in range(kills):
            time.sleep(random.uniform(2.0, 4.0))
            waits.append(_outage(machine, SHORT_OUTAGE_SECONDS))
        machine.wait_until_ended(ids, within=120)
        ids += machine.submit_many(20, text="before the long one", tokens=TOKENS)
        claims = sum(job.claim for job in machine.jobs().values())
        long_wait = _outage(machine, away_seconds)
        idle_claims = sum(job.claim for job in machine.jobs().values()) - claims
        machine.wait_until_ended(ids, within=60)
        failed = sum(job.status == Status.FAILED for job in machine.jobs().values())
        yield exactly("jobs that failed", failed, 0)
        yield exactly("attempts used", attempts_used(machine, ids), 0)
        yield at_most("first job after Ollama answers again", max([*waits, long_wait]), 3.0, " s")
        yield at_most("claims while it was away", idle_claims, 60)
        yield from intact(machine, ids, tokens=TOKENS)


def _outage(machine: Machine, seconds: float) -> float:
    """Kill Ollama, start it again after `seconds`; how long its first job took to come."""
    machine.ollama.kill()
    time.sleep(seconds)
    machine.ollama.start()
    eventually(machine.ollama_answers, every=0.02)
    back = time.time()

    def first() -> float | None:
        return min((e["at"] for e in machine.served.entries("start") if e["at"] > back - 0.2), default=None)

    return max(0.0, (eventually(first, within=60) or 0.0) - back)
