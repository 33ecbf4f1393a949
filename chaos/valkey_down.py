"""Valkey is down for a minute while submits come."""

import time
from collections.abc import Iterator
from random import Random

from chaos.figure import Figure, at_most, exactly, percentile
from chaos.machine import Machine
from chaos.process import eventually
from chaos.verdict import attempts_used, intact

SHORT = {"submits": 30, "seconds": 5.0}


def measure(random: Random, *, submits: int = 200, seconds: float = 60.0) -> Iterator[Figure]:
    """`submits` spread over the time that it is away."""
    with Machine() as machine:
        machine.start_worker()
        machine.submit_many(4)
        machine.valkey.kill()
        answers = []
        began = time.monotonic()
        for number in range(submits):
            due = began + seconds * (number + random.random()) / submits
            time.sleep(max(0.0, due - time.monotonic()))
            answers.append(machine.submit(f"survivor {number}"))
        machine.valkey.start()
        back = time.time()
        eventually(machine.valkey_answers)
        ids = [answer.job_id for answer in answers if answer.status == 202]
        machine.wait_until_ended(ids, within=90)
        starts = [at for times in machine.served.starts().values() for at in times if at > back]
        yield exactly("answered 202", sum(answer.status == 202 for answer in answers), submits)
        yield at_most(
            "95% answered within", percentile([a.seconds for a in answers], 0.95) * 1000, 100.0, " ms"
        )
        yield at_most("first start after it is back", min(starts, default=float("inf")) - back, 5.0, " s")
        yield from intact(machine, ids)
        yield exactly("attempts used", attempts_used(machine, ids), 0)
