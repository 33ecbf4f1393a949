"""
What the keeper changes about jobs: the ways back for what failed, was lost or is late.

Every function may run twice or in two keepers at once: the conditional UPDATEs
let one of them win. Which rows a pass takes is a CTE: Postgres may run a subquery
that locks with SKIP LOCKED once for each row, and then its LIMIT limits nothing.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.orm import Session

from jobs import changes, history
from jobs.instants import later
from jobs.models import (
    IS_PENDING,
    IS_RELEASED,
    Attempt,
    Chord,
    ChordPart,
    HistoryEntry,
    Job,
    JobPayload,
    JobResult,
    Submission,
)
from jobs.records import Publication, Published, Untold
from jobs.service import JobService
from jobs.states import Status

BATCH = 500  # rows a run: short transactions, so that submits get in between


def release_due(service: JobService, *, now: datetime | None = None) -> list[Publication]:
    """Release jobs whose `not_before` has come: delayed ones, and failed attempts after their back-off."""
    moment = service.database.moment(now)
    waiting = (IS_PENDING, Job.released_at.is_(None))
    due = (
        select(Job.id)
        .where(*waiting, Job.not_before <= moment)
        .order_by(Job.not_before)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    released = changes.release(moment, Job.priority, service.policy)
    statement = (
        update(Job)
        .where(Job.id.in_(select(due.c.id)), *waiting)
        .values(not_before=None, **released, **changes.publish(moment))
    )
    if not _is_there(service, *waiting, Job.not_before <= moment):
        return []
    with service.database.writing() as session:
        return changes.publications(session, statement)


def republish(
    service: JobService, lost: Mapping[str, int], *, now: datetime | None = None
) -> list[Publication]:
    """
    Publish jobs whose message is lost.

    Args:
        lost: The publication that is lost, by job id; a row's worth of work each, so not too many.

    Returns:
        The messages: none for a job for which somebody else was first, or that is no longer pending.
    """
    seen = (Job.id.in_(lost), IS_PENDING, IS_RELEASED)
    with service.database.writing() as session:
        rows = session.execute(select(Job).where(*seen).with_for_update()).scalars()
        before = [row for row in detached(session, rows) if row.publication == lost[row.id]]
        for row in before:
            history.keep(session, row, history.PUBLISHED)
        again = update(Job).where(Job.id.in_([row.id for row in before]))
        return changes.publications(session, again.values(**changes.publish(service.database.moment(now))))


def _is_there(service: JobService, *conditions: ColumnElement[bool]) -> bool:
    """Whether there is such a job; asked each second, and SQLite has one writer at a time."""
    with service.database.reading() as session:
        return session.execute(select(Job.id).where(*conditions).limit(1)).first() is not None


def detached(session: Session, rows: Iterable[Job]) -> list[Job]:
    """Rows as they were found, whatever is changed about them."""
    found = list(rows)
    session.expunge_all()
    return found


def expire_due(service: JobService, *, now: datetime | None = None) -> list[str]:
    """Expire pending jobs whose deadline has passed; returns their ids."""
    moment = service.database.moment(now)
    late = (
        select(Job.id)
        .where(IS_PENDING, Job.deadline_at <= moment)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
        .cte("late")
    )
    statement = (
        update(Job)
        .where(Job.id.in_(select(late.c.id)), IS_PENDING)
        .values(
            status=Status.EXPIRED,
            completed_at=moment,
            successors_pending=Job.has_successors,
            error_code="expired",
            error_message="The job had not started by its deadline.",
        )
        .returning(Job.id)
    )
    if not _is_there(service, IS_PENDING, Job.deadline_at <= moment):
        return []
    with service.database.writing() as session:
        return list(session.execute(statement).scalars())


def published_before(
    service: JobService, *, seconds_ago: float, limit: int, since: datetime | None = None
) -> list[Published]:
    """
    Released pending jobs whose message should long be in a queue or with a worker, longest published first.

    Args:
        since: Only what was published then or later: where the page before this one ended.
    """
    old = [IS_PENDING, IS_RELEASED, Job.published_at < later(service.database.moment(), -seconds_ago)]
    if since is not None:
        old.append(Job.published_at >= since)
    found = select(*changes.PUBLICATION_COLUMNS, Job.published_at).where(*old)
    with service.database.reading() as session:
        rows = session.execute(found.order_by(Job.published_at).limit(limit))
        return [_as_published(row) for row in rows]


def _as_published(row: Any) -> Published:
    return Published(**vars(changes.as_publication(row)), published_at=row.published_at)


def purge_completed(service: JobService, *, older_than_seconds: float, now: datetime | None = None) -> int:
    """Delete a batch of jobs that ended longer ago than this, and of such chords; returns how many jobs."""
    moment = service.database.moment(now)
    cutoff = later(moment, -older_than_seconds)
    old = select(Job.id).where(Job.created_at < cutoff, Job.completed_at < cutoff).order_by(Job.created_at)
    with service.database.writing() as session:
        found = list(session.execute(old.limit(BATCH)).scalars())
        for table in (JobResult, JobPayload, Attempt, HistoryEntry, Submission):
            session.execute(delete(table).where(table.job_id.in_(found)))
        session.execute(delete(Job).where(Job.id.in_(found)))
        chords = select(Chord.group_id).where(Chord.created_at < cutoff).limit(BATCH)
        ended = list(session.execute(chords).scalars())
        for chord_table in (ChordPart, Chord):
            session.execute(delete(chord_table).where(chord_table.group_id.in_(ended)))
    return len(found)


def untold_successors(service: JobService, *, seconds_ago: float) -> list[Untold]:
    """Jobs that ended this long ago, and whose successors have not been told."""
    with service.database.reading() as session:
        rows = session.execute(
            select(Job.id, Job.task, Job.status, JobPayload.canvas)
            .join(JobPayload, JobPayload.job_id == Job.id)
            .where(Job.successors_pending, Job.completed_at < later(service.database.moment(), -seconds_ago))
            .order_by(Job.completed_at)
            .limit(BATCH)
        )
        return [Untold(row.id, row.task, Status(row.status), row.canvas) for row in rows]
