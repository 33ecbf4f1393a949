"""Why a job waits, in the order of what weighs most: as codes for programs and sentences for people."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from jobs.forecast import Present
from jobs.instants import isoformat
from jobs.models import Job
from jobs.positions import POSITION_CAP
from jobs.scheduling import Estimate
from jobs.states import Status

ReasonCode = Literal[
    "running",
    "ended",
    "delayed",
    "backing_off",
    "broker_unavailable",
    "no_workers",
    "no_worker_with_model",
    "ollama_unavailable",
    "queue_paused",
    "key_window",
    "jobs_ahead",
    "model_loads_ahead",
    "slots_busy",
    "next",
]


@dataclass(frozen=True)
class Reason:
    """One thing that a job waits for."""

    code: ReasonCode
    message: str


def explain(
    job: Job,
    present: Present,
    *,
    ahead: int | None,
    estimate: Estimate | None,
    is_broker_up: bool,
    now: datetime,
) -> list[Reason]:
    """
    What a job waits for.

    Args:
        ahead: Its `queue_position`.
        is_broker_up: Whether Redis answers; while it does not, workers are unknown.
    """
    status = Status(job.status)
    if status is Status.PROCESSING:
        return [Reason("running", f"It runs on {job.worker}.")]
    if status.is_complete:
        return [Reason("ended", f"It is {status}.")]
    found = [*_held_back(job, now), *_nobody_can(job.model, present, is_broker_up)]
    if job.model in present.paused:
        since = isoformat(present.paused[job.model])
        found.append(Reason("queue_paused", f"An operator paused the queue of {job.model} at {since}."))
    found += _before_it(job.model, present, ahead, estimate)
    return found or [Reason("next", "It is next: a worker takes it at any moment.")]


def _held_back(job: Job, now: datetime) -> Iterator[Reason]:
    if job.released_at is not None:
        return
    if job.not_before is None:
        yield Reason("key_window", "Its key has as many jobs lined up as it may: one must start first.")
    elif job.attempts:
        seconds = max(0.0, (job.not_before - now).total_seconds())
        yield Reason("backing_off", f"Its last run failed; it is tried again in {seconds:.1f} s.")
    else:
        yield Reason("delayed", f"It was submitted to start at {isoformat(job.not_before)} or later.")


def _nobody_can(model: str, present: Present, is_broker_up: bool) -> Iterator[Reason]:
    if not is_broker_up:
        yield Reason(
            "broker_unavailable", "Redis does not answer; the job is kept, and runs when it is back."
        )
    elif not present.workers:
        yield Reason("no_workers", "No worker is running.")
    elif not present.having(model):
        yield Reason("no_worker_with_model", f"No worker's Ollama has the model {model}.")
    elif not present.serving(model):
        yield Reason("ollama_unavailable", f"The Ollama that has {model} does not answer.")


def _before_it(
    model: str, present: Present, ahead: int | None, estimate: Estimate | None
) -> Iterator[Reason]:
    if ahead:
        yield Reason("jobs_ahead", _jobs_ahead(ahead))
    if estimate is not None and estimate.loads:
        loads = "1 model" if estimate.loads == 1 else f"{estimate.loads} times a model"
        yield Reason("model_loads_ahead", f"Ollama has to load {loads} before it.")
    total, busy = slots(model, present)
    if total and busy >= total:
        yield Reason("slots_busy", "The only slot is busy." if total == 1 else f"All {total} slots are busy.")


def slots(model: str, present: Present) -> tuple[int, int]:
    """Of the workers that can run a model now: how many jobs they run at once at most, and now."""
    workers = present.serving(model)
    total = sum(worker.concurrency for worker in workers)
    return total, min(total, len(present.running_on(workers)))  # while jobs are short a few more are claimed


def _jobs_ahead(count: int) -> str:
    if count == 1:
        return "1 job of the same model goes first."
    return f"{count} jobs{' or more' if count >= POSITION_CAP else ''} of the same model go first."
