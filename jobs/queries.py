"""The read side: one job, and what belongs to many; `positions.py` has where a job stands."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from jobs.models import IS_PENDING, Attempt, Job, JobPayload, JobResult, Model
from jobs.positions import queue_position
from jobs.prepared import Prepared
from jobs.results import with_data
from jobs.statements import AS_JOB, JOBS
from jobs.states import Status

_BY_ID = Prepared(select(*AS_JOB).where(JOBS.c.id == bindparam("of_job")))  # pollers ask it all day


@dataclass(frozen=True)
class JobView:
    """A job with what belongs to it, as far as it was asked for; detached from its session."""

    job: Job
    attempts: list[Attempt]
    queue_position: int | None
    input: dict[str, Any] | None = None
    result: dict[str, Any] | None = None
    result_data: Any = None


def find_job(session: Session, job_id: str) -> Job | None:
    """The job as it is now, to be read: a row of all columns under a job's names."""
    return cast("Job | None", _BY_ID.one_or_none(session.connection(), {"of_job": job_id}))


def read_status(session: Session, job_id: str) -> Status | None:
    """A job's status alone; None: there is no such job."""
    status = session.execute(select(Job.status).where(Job.id == job_id)).scalar_one_or_none()
    return None if status is None else Status(status)


def view_job(session: Session, job: Job, *, whole: bool = False) -> JobView:
    """
    A job to show. `result_data` always comes along where there is one.

    Args:
        whole: With `input` and Ollama's final object, which can be large.
    """
    attempts: list[Attempt] = []
    if job.attempts:
        found = select(Attempt).where(Attempt.job_id == job.id).order_by(Attempt.claim)
        attempts = list(session.execute(found).scalars())
    result = result_data = None
    if Status(job.status) in (Status.COMPLETED, Status.FAILED):
        row = session.get(JobResult, job.id)
        if row is not None:
            result_data = row.result_data
            result = with_data(job.kind, row.result, result_data) if row.result is not None else None
    payload = session.get(JobPayload, job.id) if whole else None
    return JobView(
        job=job,
        attempts=attempts,
        queue_position=queue_position(session.connection(), job),
        input=payload.input if payload else None,
        result=result if whole else None,
        result_data=result_data,
    )


def list_results(session: Session, found: list[Job]) -> dict[str, Any]:
    """`result_data` by job id, for a page of a list."""
    wanted = [job.id for job in found if job.status in (Status.COMPLETED, Status.FAILED)]
    rows = session.execute(
        select(JobResult.job_id, JobResult.result_data).where(JobResult.job_id.in_(wanted))
    )
    return {row.job_id: row.result_data for row in rows}


def list_attempts(session: Session, found: list[Job]) -> dict[str, list[Attempt]]:
    """Failed attempts by job id, for a page of a list."""
    wanted = [job.id for job in found if job.attempts]
    by_job: dict[str, list[Attempt]] = {}
    rows = session.execute(select(Attempt).where(Attempt.job_id.in_(wanted)).order_by(Attempt.claim))
    for attempt in rows.scalars():
        by_job.setdefault(attempt.job_id, []).append(attempt)
    return by_job


def count_pending(session: Session, *, at_most: int, key_id: str | None = None) -> int:
    """How many jobs are pending, of one key or of all, counted no further than `at_most`."""
    pending = select(Job.id).where(IS_PENDING).limit(at_most)
    if key_id is not None:
        pending = pending.where(Job.key_id == key_id)
    return session.execute(select(func.count()).select_from(pending.subquery())).scalar_one()


def known_models(session: Session, *, seen_after: datetime | None = None) -> list[Model]:
    """Models that some worker reported, by size, the smallest first."""
    statement = select(Model).order_by(Model.size_bytes, Model.name)
    if seen_after is not None:
        statement = statement.where(Model.seen_at >= seen_after)
    return list(session.execute(statement).scalars())


def queue_seconds(job: Job) -> float | None:
    """From submission to the start of the (last) run; None before it."""
    return None if job.started_at is None else queue_seconds_of(job.created_at, job.started_at)


def queue_seconds_of(created_at: datetime, started_at: datetime) -> float:
    """The same by its moments; never negative, whatever the clocks say."""
    return max(timedelta(), started_at - created_at).total_seconds()
