"""Urgent jobs come without end for ten times the ageing time, over three models; what waits has its bound."""

import time
from collections.abc import Iterator
from random import Random

from chaos.figure import Figure, at_least, at_most, exactly, told
from chaos.machine import Machine
from chaos.verdict import intact
from jobs.scheduling.bound import wait_bound_seconds
from jobs.scheduling.turns import turn_seconds

SHORT = {"ageing_seconds": 1.5}
MODELS = ("alpha", "beta", "gamma")
SLOTS, TOKENS, TOKENS_PER_SECOND, LOAD_SECONDS, AFFINITY_SECONDS = 2, 4, 20, 0.3, 2.0
JOB_SECONDS = TOKENS / TOKENS_PER_SECOND
LOWEST, PATIENT = 9, 3


def measure(random: Random, *, ageing_seconds: float = 6.0) -> Iterator[Figure]:
    """Urgent ones as fast as the slots take them; at the start `PATIENT` of each lower level and model."""
    with Machine(
        models=",".join(MODELS),
        slots=SLOTS,
        tokens_per_second=TOKENS_PER_SECOND,
        ollama_options=("--load-seconds", str(LOAD_SECONDS), "--max-loaded", "1"),
        PADDOCK_AGEING_SECONDS=str(ageing_seconds),
        PADDOCK_AFFINITY_SECONDS=str(AFFINITY_SECONDS),
    ) as machine:
        machine.start_worker()
        began = time.monotonic()
        ids = []
        for model in MODELS:
            for level in (3, 5, LOWEST):
                ids += machine.submit_many(
                    PATIENT, text=f"{model} {level}", model=model, priority=level, tokens=TOKENS
                )
        patient, number = list(ids), 0
        every = JOB_SECONDS / SLOTS * 2.5  # loads take a share of the slots' time, too
        while time.monotonic() < began + 10 * ageing_seconds:
            model = random.choice(MODELS)
            ids.append(machine.submit(f"urgent {number}", model=model, priority=0, tokens=TOKENS).job_id)
            number += 1
            time.sleep(max(0.0, began + number * every - time.monotonic()))
        machine.wait_until_ended(ids, within=180)
        yield from intact(machine, ids, tokens=TOKENS)
        yield from _bound(machine, ids, patient, ageing_seconds)


def _bound(machine: Machine, ids: list[str], patient: list[str], ageing_seconds: float) -> Iterator[Figure]:
    jobs = machine.jobs()
    rows = [jobs[job_id] for job_id in ids]
    starts = machine.served.starts()
    late, shares = 0, []
    for row in rows:
        assert row.released_at
        assert row.due_at
        before = sum(other.due_at < row.due_at for other in rows if other.due_at and other is not row)
        bound = wait_bound_seconds(
            level=row.priority,
            ageing_seconds=ageing_seconds,
            work_seconds=before * JOB_SECONDS / SLOTS,
            models=len(MODELS),
            turn_seconds=turn_seconds(AFFINITY_SECONDS, LOAD_SECONDS),
            load_seconds=LOAD_SECONDS,
            rest_seconds=JOB_SECONDS,
        )
        waited = starts[row.id][0] - row.released_at.timestamp()
        late += waited > bound
        shares.append(waited / bound)
    yield exactly("jobs that started after their bound", late, 0)
    yield at_most("the nearest to it, as a share", max(shares), 1.0)
    slowest = max(starts[job_id][0] - jobs[job_id].released_at.timestamp() for job_id in patient)  # type: ignore[union-attr]
    yield told("longest wait of a patient one, s", slowest)
    yield at_least("urgent jobs", len(ids) - len(patient), 10)
