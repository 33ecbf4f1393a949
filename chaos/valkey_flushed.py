"""FLUSHALL while jobs wait."""

import time
from collections.abc import Iterator
from random import Random

from chaos.figure import Figure, at_most, exactly, told
from chaos.machine import Machine
from chaos.verdict import attempts_used, generated_twice, intact

SHORT = {"pending": 100, "times": 1}


def measure(random: Random, *, pending: int = 500, times: int = 3) -> Iterator[Figure]:
    """With `pending` jobs in the queue, `times` over."""
    with Machine(tokens_per_second=50) as machine:
        machine.start_worker()
        ids: list[str] = []
        seconds = []
        for number in range(times):
            submitted = machine.submit_many(pending, text=f"survivor {number}")
            time.sleep(random.uniform(0.0, 0.5))
            machine.redis.flushall()
            seconds.append(machine.wait_until_ended(submitted, within=120))
            ids += submitted
        yield from intact(machine, ids)
        yield exactly("attempts used", attempts_used(machine, ids), 0)
        yield at_most("generated to the end twice", generated_twice(machine, ids), 0)
        yield told("seconds until all were done", max(seconds))
