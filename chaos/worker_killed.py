"""SIGKILL a whole worker, again and again, while two of them work off a backlog."""

import time
from collections import Counter
from collections.abc import Iterator
from random import Random

from chaos.figure import Figure, at_most, told
from chaos.machine import Machine, name_of
from chaos.verdict import again_within, generated_twice, intact, runs_again, taken_back
from settings import Settings

SHORT = {"jobs": 120, "kills": 2}
TOKENS, TOKENS_PER_SECOND = 10, 20


def measure(random: Random, *, jobs: int = 1000, kills: int = 20) -> Iterator[Figure]:
    """Kill one of two workers at random, start it again, and so on until `kills`."""
    # Jobs that run again soon are soon struck again: a storm may use up a budget of three attempts, which
    # `child-killed` is about.
    with Machine(
        tokens_per_second=TOKENS_PER_SECOND, ollama_slots=8, PADDOCK_MAX_ATTEMPTS=str(kills)
    ) as machine:
        workers = machine.start_two_workers()
        ids = machine.submit_many(jobs, tokens=TOKENS)
        interrupted: dict[str, float] = {}
        waits: list[float] = []
        for _ in range(kills):
            time.sleep(random.uniform(1.5, 3.5))
            worker = random.choice(workers)
            machine.wait_until_ready(worker)
            worker.kill()
            at = time.time()
            lost = machine.running(name_of(machine, worker))
            # A job may be struck twice: what the first kill led to is measured before the next. One
            # that was claimed again and had not begun still waits since the first.
            starts = machine.served.starts()
            begun = {
                each: interrupted[each]
                for each in lost
                if each in interrupted and starts[each] and starts[each][-1] > interrupted[each]
            }
            waits += runs_again(machine, begun)
            interrupted |= {each: at for each in lost if each in begun or each not in interrupted}
            worker.start()
        machine.wait_until_ended(ids, within=120)
        waits += runs_again(machine, interrupted)
        yield from intact(machine, ids, tokens=TOKENS)
        yield from again_within(waits)
        yield told("slowest taken back after, s", max(taken_back(machine, interrupted), default=0.0))
        yield at_most("generated to the end twice", generated_twice(machine, ids), kills * machine.slots)
        yield told("kills", kills)
        times = Counter(job.attempts for job in machine.jobs().values() if job.attempts)
        yield told("jobs by how often they were struck", dict(sorted(times.items())))
        default = Settings.model_fields["max_attempts"].default
        beyond = sum(count for attempts, count in times.items() if attempts >= default)
        yield told(f"jobs that {default} attempts would not do for", beyond)
