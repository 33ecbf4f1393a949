"""
What becomes of runs that were lost: their leases run out, and somebody takes the jobs back.

A lost run costs its job an attempt. Whether the attempt is held against the job depends on what was
lost with it. A worker that goes on has lost one process, and the job that ran there is the likely
cause. A worker that is gone has lost all that it ran, and whoever ended it is rarely one of them:
`Policy.is_spent` lets a job go through that more often.
"""

import time
from collections.abc import Callable, Mapping
from datetime import datetime

from sqlalchemy import select, update

from jobs import changes, history
from jobs.housekeeping import BATCH, detached
from jobs.instants import later
from jobs.models import IS_RUNNING, Job
from jobs.records import Failure, Policy, Publication
from jobs.service import JobService
from jobs.states import Status


def reap_expired(
    service: JobService,
    *,
    working_since: Callable[[], Mapping[str, datetime]] = dict,
    now: datetime | None = None,
) -> tuple[list[Publication], list[str]]:
    """
    Take back the jobs whose worker stopped renewing; one that has used up its attempts ends as failed.

    Args:
        working_since: The workers that are there now, and since when; asked when a lease has run out.
            A run of any other, or that began before, was lost with its whole worker.

    Returns:
        The messages to publish, at the serving end, for those that run again; the ids of those that failed.
    """
    again: list[Publication] = []
    failed: list[str] = []
    lapsed = (IS_RUNNING, Job.lease_until < service.database.moment(now))
    asked_at = time.monotonic()
    with service.database.reading() as session:  # asked often, and SQLite has one writer at a time
        seen_at = session.execute(
            select(service.database.moment(now)).select_from(Job).where(*lapsed).limit(1)
        ).scalar()
    # A database that has stood still until now has let nobody renew: what is lapsed is seen at the next
    # look. Should it stand still only from here on, what has lapsed since then is none of this pass's.
    if seen_at is None or time.monotonic() - asked_at > service.policy.lease_seconds / 2:
        return again, failed
    workers = working_since()
    with service.database.writing() as session:
        moment = service.database.moment(now)
        lost = session.execute(
            select(Job)
            .where(IS_RUNNING, Job.lease_until < seen_at)
            .order_by(Job.lease_until)
            .limit(BATCH)
            .with_for_update(skip_locked=True)
        ).scalars()
        for row in detached(session, lost):
            losses = row.worker_losses + (not _went_on(row, workers))
            attempts = row.attempts + 1
            failure = Failure(history.WORKER_LOST, _message(row, losses, service.policy))
            changes.record_attempt(
                session, failure, job_id=row.id, claim=row.claim, worker=row.worker, moment=moment
            )
            statement = changes.run(row.id, row.claim).values(attempts=attempts, worker_losses=losses)
            if service.policy.is_spent(attempts, losses):
                session.execute(statement.values(**changes.failure(failure, moment)))
                failed.append(row.id)
            else:
                history.keep(session, row, history.PUBLISHED)
                back = {"status": Status.PENDING, "lease_until": None, **changes.publish(moment)}
                again += changes.publications(session, statement.values(**back))
    return again, failed


def _went_on(lost: Job, workers: Mapping[str, datetime]) -> bool:
    """Whether the worker of a lost run is there as it was when the run began: only its child is gone."""
    since = workers.get(str(lost.worker))
    return since is not None and lost.started_at is not None and since <= lost.started_at


def _message(lost: Job, losses: int, policy: Policy) -> str:
    if losses == lost.worker_losses:
        return f"The process that ran the job stopped; its worker {lost.worker} is still there."
    held = f"loss {losses}, of which {policy.max_worker_losses} are not held against the job"
    return f"The worker {lost.worker} stopped while it ran the job: {held}."


def cut_leases(
    service: JobService, worker: str, *, within_seconds: float, now: datetime | None = None
) -> int:
    """
    Let the leases of a worker that seems to be gone end soon; a run that is alive renews its own.

    Returns:
        How many were shortened.
    """
    soon = later(service.database.moment(now), within_seconds)
    statement = (
        update(Job)
        .where(IS_RUNNING, Job.worker == worker, Job.lease_until > soon)
        .values(lease_until=soon)
        .returning(Job.id)
    )
    with service.database.writing() as session:
        return len(session.execute(statement).all())
