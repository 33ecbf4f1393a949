"""The keeper that leads the housekeeping is killed; another takes over."""

import os
import signal
import time
from collections.abc import Iterator
from random import Random

from chaos.figure import Figure, at_most, exactly
from chaos.machine import Machine, name_of
from chaos.process import eventually
from worker.keeper.leadership import LEADER_KEY

SHORT = {"times": 1}
POLL_SECONDS = 0.2


def measure(random: Random, *, times: int = 5) -> Iterator[Figure]:
    """Kill the leading keeper, or its whole worker, and watch who leads then."""
    with Machine() as machine:
        workers = {name_of(machine, worker): worker for worker in machine.start_two_workers()}
        eventually(lambda: machine.redis.get(LEADER_KEY))
        gaps, leaders = [], 0
        for number in range(times):
            time.sleep(random.uniform(2.0, 3.0))
            leader = str(machine.redis.get(LEADER_KEY))
            worker = workers[leader]
            began = time.monotonic()
            os.kill(worker.keeper(), signal.SIGKILL)
            if number % 2:
                worker.kill()
            lost = machine.submit(f"survivor {number}", deadline_seconds=0.001).job_id
            # Housekeeping goes on where a deadline that passed is seen.
            eventually(lambda: machine.job(lost).status != "pending", within=20, every=0.05)
            gaps.append(time.monotonic() - began)
            leaders += bool(machine.redis.get(LEADER_KEY))
            if number % 2:
                worker.start()
                machine.wait_until_ready(worker)
        yield at_most("taken over after", max(gaps), 5.0, " s")
        yield exactly("somebody leads afterwards", leaders, times)
