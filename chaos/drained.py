"""SIGTERM under load: to the worker, and to the whole process group."""

import os
import signal
import time
from collections.abc import Iterator
from random import Random

from chaos.figure import Figure, at_most, exactly
from chaos.machine import Machine, name_of
from chaos.verdict import attempts_used, intact

SHORT = {"times": 1}
DRAIN_SECONDS = 4.0
TOKENS, TOKENS_PER_SECOND = 60, 20
SHORT_JOBS, SHORT_TOKENS = 8, 20


def measure(random: Random, *, times: int = 4) -> Iterator[Figure]:
    """Jobs that outlive the drain time, behind them a backlog; in turn the worker alone and its group."""
    with Machine(
        tokens_per_second=TOKENS_PER_SECOND,
        PADDOCK_DRAIN_SECONDS=str(DRAIN_SECONDS),
    ) as machine:
        worker = machine.start_worker()
        took, left, statuses, ids = [], 0, set(), list[str]()
        for number in range(times):
            for signal_to in (os.kill, os.killpg):
                # A generation of 6 s outlives the drain time.
                ids += machine.submit_many(12, text=f"{signal_to.__name__} {number}", tokens=120)
                time.sleep(random.uniform(0.5, 2.5))
                began = time.monotonic()
                signal_to(worker.pid, signal.SIGTERM)
                time.sleep(0.5)
                signal_to(worker.pid, signal.SIGTERM) if number % 2 else None  # a second one restarts nothing
                statuses.add(worker.running.wait(60))
                took.append(time.monotonic() - began)
                left += len(machine.running(name_of(machine, worker)))
                worker.start()
                machine.wait_until_ready(worker)
        yield at_most("exit after SIGTERM", max(took), DRAIN_SECONDS + 2.0, " s")
        yield exactly("left as running by who ended", left, 0)
        yield exactly("exit statuses", sorted(statuses), [0])
        machine.control(tokens_per_second=0)
        machine.wait_until_ended(ids, within=120)
        yield exactly("attempts used", attempts_used(machine, ids), 0)
        yield from intact(machine, ids, tokens=120)
