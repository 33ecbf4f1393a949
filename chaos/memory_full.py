"""Valkey reaches its `maxmemory`."""

from collections import Counter
from collections.abc import Iterator
from random import Random

from chaos.figure import Figure, exactly, told
from chaos.machine import Machine
from chaos.verdict import attempts_used, intact

SHORT = {"jobs": 10}


def measure(random: Random, *, jobs: int = 200) -> Iterator[Figure]:
    """Jobs before it is full, while it is, and after it has room again."""
    with Machine(tokens_per_second=50) as machine:
        worker = machine.start_worker()
        ids = machine.submit_many(jobs, text="before")
        machine.redis.config_set("maxmemory-policy", "noeviction")
        machine.redis.config_set("maxmemory", 1)
        answers = [machine.submit(f"meanwhile {number} {random.random()}") for number in range(jobs)]
        health = machine.ask("GET", "/api/health").json()
        machine.redis.config_set("maxmemory", 0)
        accepted = [answer.job_id for answer in answers if answer.status == 202]
        machine.wait_until_ended([*ids, *accepted], within=120)
        yield exactly("answers meanwhile", dict(Counter(a.status for a in answers)), {202: jobs})
        yield told("health meanwhile", health["status"])
        yield exactly("the worker's parent lives", worker.running.poll(), None)
        yield from intact(machine, [*ids, *accepted])
        yield exactly("attempts used", attempts_used(machine, [*ids, *accepted]), 0)
