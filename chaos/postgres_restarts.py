"""Postgres is restarted again and again under load, once for half a minute."""

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from random import Random

from chaos.figure import Figure, at_most, exactly, told
from chaos.machine import Answer, Machine
from chaos.postgres import Postgres
from chaos.verdict import attempts_used, generated_twice, intact

SHORT = {"jobs": 60, "restarts": 1, "away_seconds": 3.0, "between": (2.0, 3.0)}
TOKENS, TOKENS_PER_SECOND = 10, 20


def measure(
    random: Random,
    *,
    jobs: int = 2000,
    restarts: int = 4,
    away_seconds: float = 30.0,
    between: tuple[float, float] = (10.0, 30.0),
) -> Iterator[Figure]:
    """`restarts` at once, then one that lasts; submits go on all the time and repeat what 503 refused."""
    with (
        Postgres() as postgres,
        Machine(
            tokens_per_second=TOKENS_PER_SECOND,
            ollama_slots=8,
            database_url=postgres.url,
        ) as machine,
    ):
        machine.start_worker()
        machine.start_worker()
        statuses: Counter[int] = Counter()
        slowest = [0.0]
        with ThreadPoolExecutor(4) as pool:
            every = (sum(between) / 2 * restarts + away_seconds) / jobs * 0.9
            futures = [
                pool.submit(_until_accepted, machine, f"survivor {n}", statuses, slowest, every * 4)
                for n in range(jobs)
            ]
            for _ in range(restarts):
                time.sleep(random.uniform(*between))
                postgres.stop()
                time.sleep(1.0)
                postgres.start()
            time.sleep(between[0])
            postgres.stop()
            time.sleep(away_seconds)
            postgres.start()
            ids = [future.result() for future in futures]
        machine.wait_until_ended(ids, within=240)
        yield exactly("answers other than 202 and 503", {s for s in statuses if s not in (202, 503)} or 0, 0)
        yield told("answered 503, and asked again", statuses[503])
        yield at_most("slowest answer", slowest[0], 15.0, " s")
        yield from intact(machine, ids, tokens=TOKENS)
        yield exactly("generated to the end twice", generated_twice(machine, ids), 0)
        yield exactly("attempts used", attempts_used(machine, ids), 0)


def _until_accepted(
    machine: Machine, text: str, statuses: Counter[int], slowest: list[float], pause: float
) -> str:
    time.sleep(pause)
    while True:
        answer: Answer = machine.submit(text, tokens=TOKENS)
        statuses[answer.status] += 1
        slowest[0] = max(slowest[0], answer.seconds)
        if answer.status == 202:
            return answer.job_id
        time.sleep(0.5)
