"""Ollama hangs, ends a stream with an error, answers 500; cuts a stream, answers that its queue is full."""

from collections.abc import Iterator
from random import Random

from chaos.figure import Figure, at_most, exactly
from chaos.machine import Machine
from chaos.process import eventually
from chaos.verdict import attempt_codes, attempts_used, intact
from jobs.states import Status

SHORT = {"jobs": 2, "strikes": 4, "patience_seconds": 0.5}
ATTEMPTS = 3


def measure(
    random: Random, *, jobs: int = 8, strikes: int = 40, patience_seconds: float = 1.0
) -> Iterator[Figure]:
    """Each failing kind until its jobs are dead letters, then `strikes` of each outage kind."""
    with Machine(
        tokens_per_second=50,
        PADDOCK_FIRST_TOKEN_TIMEOUT_SECONDS=str(patience_seconds),
        PADDOCK_TOKEN_TIMEOUT_SECONDS=str(patience_seconds),
    ) as machine:
        machine.start_worker()
        for kind, after, code in (
            ("http_500", 0, "ollama_error"),
            ("stream_error", random.randrange(1, 4), "ollama_error"),
        ):
            machine.control(fail_next={"kind": kind, "count": ATTEMPTS * jobs, "after_tokens": after})
            yield from _dead_letters(machine, kind, jobs, code)
        for after, code in ((0, "first_token_timeout"), (2, "between_tokens_timeout")):
            machine.control(hang=True, hang_after_tokens=after)
            yield from _dead_letters(machine, f"hangs after {after} tokens", jobs, code)
            machine.control(hang=False)
        for kind in ("cut", "queue_full"):
            ids = machine.submit_many(4 * jobs, text=kind)
            machine.control(fail_next={"kind": kind, "count": strikes})
            ids += machine.submit_many(4 * jobs, text=f"{kind} again")
            machine.wait_until_ended(ids, within=120)
            yield exactly(f"{kind}: attempts used", attempts_used(machine, ids), 0)
            yield from intact(machine, ids)


def _dead_letters(machine: Machine, kind: str, jobs: int, code: str) -> Iterator[Figure]:
    ids = machine.submit_many(jobs, text=kind)
    eventually(lambda: all(machine.job(each).status == Status.FAILED for each in ids), within=60, every=0.25)
    codes = {" ".join(attempt_codes(machine, job_id)) for job_id in ids}
    yield exactly(f"{kind}: dead letters", len(_dead(machine) & set(ids)), jobs)
    yield exactly(f"{kind}: attempts of each, and why", ", ".join(codes), " ".join([code] * ATTEMPTS))
    starts = machine.served.starts()
    yield at_most(f"{kind}: most requests for one job", max(len(starts[each]) for each in ids), ATTEMPTS)


def _dead(machine: Machine) -> set[str]:
    page = machine.ask("GET", "/api/admin/dead-letters/", params={"limit": 200}).json()
    return {job["job_id"] for job in page["jobs"]}
