"""Cancelling all that waits for a model."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import literal, select, type_coerce, update
from sqlalchemy.orm import Session

from jobs.instants import Instant
from jobs.models import IS_PENDING, Job
from jobs.service import JobService
from jobs.states import Status

BATCH = 500  # rows a transaction: short, so that submits and claims get in between


def clear_pending(
    service: JobService, model: str, *, batch: int = BATCH, now: datetime | None = None
) -> Iterator[list[str]]:
    """Cancel the jobs of a model that are pending now, not those that come meanwhile; their ids, by batch."""
    with service.database.reading() as session:
        began_at = session.execute(select(service.database.moment(now))).scalar_one()
    while True:
        with service.database.writing() as session:
            cleared = list(session.execute(_clear_statement(service, model, batch, began_at)).scalars())
        if not cleared:
            return
        yield cleared


def _clear_statement(service: JobService, model: str, batch: int, began_at: datetime) -> Any:
    # An expression, not the column: or SQLite takes ix_jobs_model and reads all jobs the model ever had.
    created_at = type_coerce(Job.created_at + literal(0.0), Instant)
    found = (
        select(Job.id)
        .where(IS_PENDING, Job.model == model, created_at <= literal(began_at, Instant))
        .limit(batch)
        .with_for_update(skip_locked=True)
        .cte("found")
    )
    return (
        update(Job)
        .where(Job.id.in_(select(found.c.id)), IS_PENDING)
        .values(
            status=Status.CANCELLED,
            completed_at=service.database.moment(),
            successors_pending=Job.has_successors,
            error_code="cancelled",
            error_message="The queue was cleared.",
        )
        .returning(Job.id)
    )


def still_published(session: Session, job_ids: Sequence[str]) -> set[tuple[str, int]]:
    """Id and publication number of those of these jobs that are pending: whose messages are not void."""
    rows = session.execute(select(Job.id, Job.publication).where(Job.id.in_(job_ids), IS_PENDING))
    return {(row.id, row.publication) for row in rows}
