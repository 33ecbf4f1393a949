"""Valkey stops answering with its connections open, and goes on later."""

import os
import signal
import time
from collections.abc import Iterator
from random import Random

from chaos.figure import Figure, at_most, exactly, told
from chaos.machine import Machine
from chaos.verdict import attempts_used, intact

SHORT = {"jobs": 8, "seconds": 3.0}
TOKENS, TOKENS_PER_SECOND = 5, 10


def measure(random: Random, *, jobs: int = 60, seconds: float = 30.0) -> Iterator[Figure]:
    """`jobs` wait when it freezes for `seconds`; jobs that run go on without it."""
    with Machine(tokens_per_second=TOKENS_PER_SECOND) as machine:
        machine.start_worker()
        ids = machine.submit_many(jobs, tokens=TOKENS)
        time.sleep(random.uniform(1.0, 2.0))
        os.kill(machine.valkey.pid, signal.SIGSTOP)
        answers = []
        try:
            ends_at = time.monotonic() + seconds
            while time.monotonic() < ends_at:
                answers.append(machine.submit("while it is frozen", tokens=TOKENS))
                time.sleep(1.0)
        finally:
            os.kill(machine.valkey.pid, signal.SIGCONT)
        back = time.time()
        ids += [answer.job_id for answer in answers if answer.status == 202]
        machine.wait_until_ended(ids, within=150)
        starts = [at for times in machine.served.starts().values() for at in times if at > back]
        yield at_most("resumed after", min(starts, default=float("inf")) - back, 15.0, " s")
        yield exactly("submits meanwhile not answered 202", sum(a.status != 202 for a in answers), 0)
        yield told("slowest of these, s", max(answer.seconds for answer in answers))
        yield from intact(machine, ids, tokens=TOKENS)
        yield exactly("attempts used", attempts_used(machine, ids), 0)
