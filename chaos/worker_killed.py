"""SIGKILL a whole worker, again and again, while two of them work off a backlog."""

import time
from collections import Counter
from collections.abc import Collection, Iterator
from random import Random

from chaos.figure import Figure, at_most, exactly, told
from chaos.machine import Machine, name_of
from chaos.verdict import again_within, generated_twice, intact, runs_again, taken_back
from jobs.states import Status

SHORT = {"jobs": 120, "kills": 2}
TOKENS, TOKENS_PER_SECOND = 10, 20
WITH_KEEPER = 4  # each so many kills


def measure(random: Random, *, jobs: int = 1000, kills: int = 20) -> Iterator[Figure]:
    """Kill one of two workers at random, start it again, and so on until `kills`."""
    with Machine(tokens_per_second=TOKENS_PER_SECOND, ollama_slots=8) as machine:
        workers = machine.start_two_workers()
        ids = machine.submit_many(jobs, tokens=TOKENS)
        interrupted: dict[str, float] = {}
        with_keeper: set[str] = set()  # of these, whose worker's keeper was killed with it
        waits: dict[bool, list[float]] = {False: [], True: []}

        def measure_waits(job_ids: Collection[str]) -> None:
            for kind in waits:
                of_kind = [each for each in job_ids if (each in with_keeper) is kind]
                waits[kind] += runs_again(machine, {each: interrupted[each] for each in of_kind})

        for number in range(kills):
            time.sleep(random.uniform(1.5, 3.5))
            worker = random.choice(workers)
            machine.wait_until_ready(worker)
            # Mostly its keeper outlives it and sees it end; now and then all of it is gone at once.
            is_whole = number % WITH_KEEPER == 0
            if is_whole:
                worker.kill_with_keeper()
            else:
                worker.kill()
            at = time.time()
            lost = machine.running(name_of(machine, worker))
            # A job may be struck twice: what the first kill led to is measured before the next. One
            # that was claimed again and had not begun still waits since the first.
            starts = machine.served.starts()
            begun = {
                each
                for each in lost
                if each in interrupted and starts[each] and starts[each][-1] > interrupted[each]
            }
            measure_waits(begun)
            anew = {each for each in lost if each in begun or each not in interrupted}
            interrupted |= dict.fromkeys(anew, at)
            with_keeper = with_keeper | anew if is_whole else with_keeper - anew
            worker.start()
        machine.wait_until_ended(ids, within=120)
        measure_waits(interrupted)
        yield from intact(machine, ids, tokens=TOKENS)
        yield from again_within(waits[False])
        most = max(waits[True], default=0.0)
        yield at_most(f"{len(waits[True])} lost with their keeper too, all of them", most, 10.0, " s")
        yield told("slowest taken back after, s", max(taken_back(machine, interrupted), default=0.0))
        yield at_most("generated to the end twice", generated_twice(machine, ids), kills * machine.slots)
        yield told("kills", kills)
        struck = [job for job in machine.jobs().values() if job.attempts]
        yield exactly("in the dead letters", sum(job.status == Status.FAILED for job in struck), 0)
        yield exactly("held against a job", sum(job.attempts - job.worker_losses for job in struck), 0)
        times = Counter(job.attempts for job in struck)
        yield told("jobs by how often they were struck", dict(sorted(times.items())))
