"""What must hold after every fault: nothing lost, nothing finished twice."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import select

from chaos.figure import Figure, at_most, exactly, percentile
from chaos.machine import Machine
from jobs.models import Attempt, JobPayload, JobResult
from jobs.states import Status
from ollama_client.simulator.answers import expected_text


def intact(machine: Machine, job_ids: Sequence[str], *, tokens: int = 5) -> Iterator[Figure]:
    """
    Every job is completed with the answer to its own prompt, was really generated, and its end was told once.

    Counted by job in the simulator's log, in the rows and in the events.
    """
    jobs, done = machine.jobs(), machine.served.done()
    completed = [job_id for job_id in job_ids if jobs[job_id].status == Status.COMPLETED]
    yield exactly("lost (not completed, or never generated)", _lost(job_ids, completed, done), 0)
    wrong = _wrong_answers(machine, completed, tokens)
    yield exactly("answers that are not their prompt's", wrong, 0)
    yield exactly("finished twice (ends told)", _ended_twice(machine, job_ids), 0)


def attempts_used(machine: Machine, job_ids: Iterable[str]) -> int:
    """How many attempts these jobs have lost."""
    jobs = machine.jobs()
    return sum(jobs[job_id].attempts for job_id in job_ids)


def generated_twice(machine: Machine, job_ids: Iterable[str]) -> int:
    """How many answers beyond each job's first were generated to the end."""
    done = machine.served.done()
    return sum(max(0, done[job_id] - 1) for job_id in job_ids)


def runs_again(machine: Machine, interrupted: dict[str, float]) -> list[float]:
    """
    Seconds from each job's interruption to its next generation.

    A job that was finished in the moment of the interruption is left out; one that never
    ran again counts as infinite.
    """
    starts, jobs = machine.served.starts(), machine.jobs()
    waits = []
    for job_id, at in interrupted.items():
        later = [start for start in starts[job_id] if start > at]
        if later:
            waits.append(min(later) - at)
        elif jobs[job_id].status != Status.COMPLETED:
            waits.append(float("inf"))
    return waits


def taken_back(machine: Machine, interrupted: dict[str, float]) -> list[float]:
    """Seconds from each job's interruption to the moment when the reaper took it back."""
    found = []
    with machine.database.reading() as session:
        for row in session.scalars(select(Attempt).where(Attempt.code == "worker_lost")):
            seconds = row.ended_at.timestamp() - interrupted.get(row.job_id, float("inf"))
            if seconds > 0:
                found.append(seconds)
    return found


def again_within(waits: Sequence[float], *, most: float = 7.0, all_of_them: float = 10.0) -> Iterator[Figure]:
    """The two limits of how soon an interrupted job runs again."""
    yield at_most(f"99% of {len(waits)} interrupted run again", percentile(waits, 0.99), most, " s")
    yield at_most("all of them", max(waits, default=0.0), all_of_them, " s")


def attempt_codes(machine: Machine, job_id: str) -> list[str]:
    """The error codes of a job's failed attempts, in their order."""
    with machine.database.reading() as session:
        rows = session.execute(select(Attempt).where(Attempt.job_id == job_id).order_by(Attempt.claim))
        return [row.code for row in rows.scalars()]


def _lost(job_ids: Sequence[str], completed: Sequence[str], done: Counter[str]) -> int:
    return len(job_ids) - sum(done[job_id] > 0 for job_id in completed)


def _wrong_answers(machine: Machine, completed: Sequence[str], tokens: int) -> int:
    wanted = set(completed)
    with machine.database.reading() as session:
        rows = session.execute(
            select(JobPayload.job_id, JobPayload.input, JobResult.result_data).join(
                JobResult, JobResult.job_id == JobPayload.job_id
            )
        ).all()
        models = {job_id: job.model for job_id, job in machine.jobs().items()}
    right = {
        row.job_id
        for row in rows
        if row.job_id in wanted
        and row.result_data == expected_text("generate", models[row.job_id], row.input["prompt"], tokens)
    }
    return len(wanted - right)


def _ended_twice(machine: Machine, job_ids: Sequence[str]) -> int:
    twice = 0
    for job_id in job_ids:
        events: Any = machine.redis.xrange(f"paddock:events:{job_id}")
        twice += sum(entry["type"] == "done" for _, entry in events) > 1
    return twice
