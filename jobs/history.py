"""
A job's timeline: what its row and its failed attempts tell, and what was kept of moments that they
no longer tell.

    submitted         created_at
    released          may be published from here on; its age counts from here
    published         its message went to the queue; `publication` counts them
    claimed           a worker began to run it
    model_loaded      Ollama had the model ready; known of a run that completed
    first_token       the first piece of the answer; known of a run that completed
    attempt_failed    a run failed, with its reason
    worker_lost       a run's worker stopped without a word
    handed_back       a run went back at no cost of an attempt: Ollama away, the worker stopping,
                      or it waited inside Ollama for a slot
    priority_changed  it was moved
    retried           somebody ran it again after its end
    completed, failed, cancelled, expired

Of a job that is submitted, runs and ends, the row tells all; nothing is written for it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, insert, select
from sqlalchemy.orm import Session

from jobs.models import Attempt, HistoryEntry, Job
from jobs.states import Status

SUBMITTED, RELEASED, PUBLISHED, CLAIMED = "submitted", "released", "published", "claimed"
MODEL_LOADED, FIRST_TOKEN = "model_loaded", "first_token"
ATTEMPT_FAILED, WORKER_LOST, HANDED_BACK = "attempt_failed", "worker_lost", "handed_back"
PRIORITY_CHANGED, RETRIED = "priority_changed", "retried"

# Of moments at the same time, which comes first.
_ORDER = (
    *(SUBMITTED, ATTEMPT_FAILED, WORKER_LOST, HANDED_BACK, RETRIED, PRIORITY_CHANGED),
    *(RELEASED, PUBLISHED, CLAIMED, MODEL_LOADED, FIRST_TOKEN, *(status.value for status in Status)),
)


@dataclass(frozen=True)
class Moment:
    """One thing that happened; what `detail` has depends on `event`."""

    at: datetime
    event: str
    detail: dict[str, Any] = field(default_factory=dict)


# --- writing ----------------------------------------------------------------------------------------


def note(session: Session, job_id: str, moments: Iterable[Moment]) -> None:
    """Keep moments of a job, in the transaction that overwrites what its row says of them."""
    values = [
        {"job_id": job_id, "at": moment.at, "event": moment.event, "detail": moment.detail}
        for moment in moments
    ]
    if values:
        session.execute(insert(HistoryEntry), values)


def keep(session: Session, job: Job, *events: str) -> None:
    """Keep what a row says of these, since its next change overwrites it."""
    note(session, job.id, [moment for moment in moments_of(job) if moment.event in events])


def lock_row(session: Session, *condition: ColumnElement[bool]) -> Job | None:
    """A job's row before a change, if the condition holds; nobody changes it until the transaction ends."""
    row = session.execute(select(Job).where(*condition).with_for_update()).scalar_one_or_none()
    if row is not None:
        session.expunge(row)  # or the change would show in it
    return row


def moments_of(job: Job) -> list[Moment]:
    """What a row says: that it was submitted, and then the rest."""
    found: list[tuple[str, datetime | None, dict[str, Any]]] = [
        (SUBMITTED, job.created_at, {}),
        (RELEASED, job.released_at, {}),
        (PUBLISHED, job.published_at, {"publication": job.publication}),
        (CLAIMED, job.started_at, {"worker": job.worker, "claim": job.claim}),
    ]
    if job.completed_at is not None:
        reason = {} if job.error_code is None else {"code": job.error_code, "message": job.error_message}
        found.append((job.status, job.completed_at, reason))
    if job.status == Status.COMPLETED and job.started_at is not None:
        spans = ((MODEL_LOADED, job.load_seconds), (FIRST_TOKEN, job.first_token_seconds))
        found += [
            (event, job.started_at + timedelta(seconds=seconds), {"seconds": seconds})
            for event, seconds in spans
            if seconds is not None
        ]
    return [Moment(at, str(event), detail) for event, at, detail in found if at is not None]


# --- reading ----------------------------------------------------------------------------------------


def read_history(session: Session, job: Job) -> list[Moment]:
    """All that is known to have happened to a job, the earliest first."""
    kept = select(HistoryEntry).where(HistoryEntry.job_id == job.id).order_by(HistoryEntry.id)
    failed = select(Attempt).where(Attempt.job_id == job.id).order_by(Attempt.claim)
    return timeline(job, session.execute(failed).scalars().all(), session.execute(kept).scalars().all())


def timeline(job: Job, attempts: Iterable[Attempt], kept: Iterable[HistoryEntry]) -> list[Moment]:
    """One timeline of the three sources; what two of them tell is told once."""
    told = [Moment(entry.at, entry.event, entry.detail) for entry in kept]
    told += [moment for attempt in attempts for moment in _moments_of_attempt(attempt)]
    told += moments_of(job)
    once = {_identity(moment): moment for moment in reversed(told)}
    return sorted(once.values(), key=lambda moment: (moment.at, _ORDER.index(moment.event)))


def _moments_of_attempt(attempt: Attempt) -> list[Moment]:
    run = {"worker": attempt.worker, "claim": attempt.claim}
    why = {"code": attempt.code, "message": attempt.message}
    event = WORKER_LOST if attempt.code == WORKER_LOST else ATTEMPT_FAILED
    ended = Moment(attempt.ended_at, event, {**run, **why})
    return [ended] if attempt.started_at is None else [Moment(attempt.started_at, CLAIMED, run), ended]


def _identity(moment: Moment) -> tuple[str, Any]:
    """Runs and messages by their number, the rest by its time."""
    number = {CLAIMED: "claim", PUBLISHED: "publication"}.get(moment.event)
    return moment.event, moment.at if number is None else moment.detail[number]


# --- spans ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Span:
    """A stretch of a job's life; `ended_at` is None while it lasts."""

    name: str  # waiting, loading, running
    began_at: datetime
    ended_at: datetime | None


_BEGINS: dict[str, str | None] = {
    **dict.fromkeys((SUBMITTED, RETRIED, ATTEMPT_FAILED, WORKER_LOST, HANDED_BACK), "waiting"),
    **dict.fromkeys((CLAIMED, MODEL_LOADED), "running"),
    **{status.value: None for status in Status if status.is_complete},
}


def spans(moments: Iterable[Moment]) -> list[Span]:
    """What a job did from when to when: the picture of its timeline."""
    found: list[Span] = []
    for moment in moments:
        if moment.event not in _BEGINS:
            continue
        if found and found[-1].ended_at is None:
            last = found.pop()
            name = "loading" if moment.event == MODEL_LOADED else last.name
            found.append(Span(name, last.began_at, moment.at))
        begun = _BEGINS[moment.event]
        if begun is not None:
            found.append(Span(begun, moment.at, None))
    return found
