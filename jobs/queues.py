"""What waits, what runs and how fast it goes, by model: from the database."""

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from jobs.database import Database
from jobs.instants import Instant, earlier
from jobs.models import IS_PENDING, IS_RUNNING, Job
from jobs.states import Status

THROUGHPUT_SECONDS = 60.0


@dataclass
class Queue:
    """One model's queue."""

    pending: dict[int, int] = field(default_factory=dict)  # by priority as submitted
    processing: int = 0
    completed_last_minute: int = 0
    oldest_pending_at: datetime | None = None


@dataclass(frozen=True)
class RunningJob:
    """A job that a worker has claimed."""

    job_id: str
    model: str
    worker: str
    started_at: datetime


def read_queues(database: Database, *, now: datetime | None = None) -> dict[str, Queue]:
    """The queue of every model for which something waits, runs or has just been completed."""
    queues: dict[str, Queue] = {}
    with database.reading() as session:
        _add_pending(session, queues)
        for model, count in session.execute(
            select(Job.model, func.count()).where(IS_RUNNING).group_by(Job.model)
        ):
            queues.setdefault(model, Queue()).processing = count
        recent = (
            select(Job.model, func.count())
            .where(Job.completed_at >= earlier(database.moment(now), THROUGHPUT_SECONDS))
            .where(Job.status == Status.COMPLETED)
            .group_by(Job.model)
        )
        for model, count in session.execute(recent):
            queues.setdefault(model, Queue()).completed_last_minute = count
    return queues


def pending_statement() -> Select[str, int, int, datetime]:
    """Model, priority, how many are pending, and since when the oldest is: from ix_jobs_backlog alone."""
    oldest = func.min(Job.created_at, type_=Instant)
    waiting = select(Job.model, Job.priority, func.count(), oldest).where(IS_PENDING)
    return waiting.group_by(Job.model, Job.priority)


def _add_pending(session: Session, queues: dict[str, Queue]) -> None:
    for model, priority, count, created_at in session.execute(pending_statement()):
        queue = queues.setdefault(model, Queue())
        queue.pending[priority] = count
        queue.oldest_pending_at = min(queue.oldest_pending_at or created_at, created_at)


def running_jobs(session: Session, *, at_most: int) -> list[RunningJob]:
    """The jobs that workers have claimed, the longest running first."""
    rows = session.execute(
        select(Job.id, Job.model, Job.worker, Job.started_at)
        .where(IS_RUNNING)
        .order_by(Job.started_at, Job.id)
        .limit(at_most)
    )
    return [RunningJob(row.id, row.model, row.worker or "", row.started_at) for row in rows]
