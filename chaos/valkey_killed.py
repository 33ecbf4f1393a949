"""Valkey is killed with SIGKILL for three seconds, under load."""

import time
from collections.abc import Iterator
from random import Random

from chaos.figure import Figure, at_most, exactly
from chaos.machine import Machine
from chaos.process import eventually
from chaos.verdict import attempts_used, intact

SHORT = {"jobs": 80, "kills": 1}
AWAY_SECONDS = 3.0
TOKENS, TOKENS_PER_SECOND = 5, 20


def measure(random: Random, *, jobs: int = 400, kills: int = 6) -> Iterator[Figure]:
    """`kills` times, with jobs submitted while it is away; the worker's parent must outlive them all."""
    with Machine(tokens_per_second=TOKENS_PER_SECOND) as machine:
        worker = machine.start_worker()
        parent = worker.pid
        ids = machine.submit_many(jobs, tokens=TOKENS)
        waits = []
        for number in range(kills):
            time.sleep(random.uniform(0.5, 2.0))
            machine.valkey.kill()
            ids += machine.submit_many(10, text=f"while away {number}", tokens=TOKENS)
            time.sleep(AWAY_SECONDS)
            machine.valkey.start()
            back = time.time()
            eventually(machine.valkey_answers)
            waits.append(_first_start_after(machine, back) - back)
        machine.wait_until_ended(ids, within=120)
        yield from intact(machine, ids, tokens=TOKENS)
        yield at_most("first start after it is back", max(waits), 5.0, " s")
        yield exactly("attempts used", attempts_used(machine, ids), 0)
        yield exactly(
            "parents that died of it", int(worker.running.poll() is not None or worker.pid != parent), 0
        )


def _first_start_after(machine: Machine, moment: float) -> float:
    def first() -> float | None:
        later = [entry["at"] for entry in machine.served.entries("start") if entry["at"] > moment]
        return min(later, default=None)

    return eventually(first, within=40) or float("inf")
