"""SIGSTOP a worker, submit into its open pop, SIGKILL it: bare Celery loses the message."""

import time
from collections import Counter
from collections.abc import Iterator
from random import Random

from chaos.figure import Figure, at_most, exactly, told
from chaos.machine import Machine
from chaos.process import thaw
from chaos.verdict import intact

SHORT = {"times": 1}
ACCEPTED = 202


def measure(random: Random, *, times: int = 50) -> Iterator[Figure]:
    """
    Two workers are stopped, so that either's open pop may take the job; the one killed is started
    again, the other goes on.
    """
    with Machine() as machine:
        struck, other = machine.start_two_workers()
        sent: dict[str, float] = {}
        statuses: Counter[int] = Counter()
        while len(sent) < times:
            machine.wait_until_ready(struck)
            time.sleep(random.uniform(0.0, 0.3))
            stopped = other.freeze()
            struck.freeze()
            answer = machine.submit(f"survivor {len(sent)}")
            statuses[answer.status] += 1
            if answer.status == ACCEPTED:
                sent[answer.job_id] = time.time()
            time.sleep(0.15)  # a pop that was open has its message by now, or has ended
            struck.kill()
            thaw(stopped)
            struck.start()
        ids = list(sent)
        machine.wait_until_ended(ids, within=30)
        yield exactly("answers other than 202 and 503", set(statuses) - {ACCEPTED, 503} or 0, 0)
        # Who is stopped in the middle of a write to SQLite keeps everybody else from writing.
        yield told("answered 503, and asked again", statuses[503])
        yield from intact(machine, ids)
        starts = machine.served.starts()
        waits = [starts[job_id][0] - at if starts[job_id] else float("inf") for job_id, at in sent.items()]
        yield at_most(f"{times} jobs run, the slowest after", max(waits), 10.0, " s")
        jobs = machine.jobs()
        yield told("messages lost and published again", sum(jobs[job_id].publication > 1 for job_id in ids))
