"""
What users and workers change about a job.

Each change is one conditional UPDATE: whoever's condition no longer holds changes
nothing and is told so. `publication` makes older messages of a job void; `claim`
makes the results of older runs void. Housekeeping's changes are in `housekeeping.py`.
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, NoReturn

import uuid_utils
from sqlalchemy import delete, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from jobs import changes, history, idempotency
from jobs.database import Database, Serialised, serialise
from jobs.errors import AlreadyComplete, JobNotFound, JobsError, NotPending, StillActive
from jobs.group_commit import GroupCommit
from jobs.history import Moment
from jobs.idempotency import Once
from jobs.instants import later
from jobs.models import IS_PENDING, IS_RUNNING, Job, JobResult
from jobs.prepared import Prepared
from jobs.records import Claimed, Failure, Outcome, Policy, Publication, Submitted
from jobs.requests import JobRequest
from jobs.scheduling import backoff_seconds, due_at
from jobs.statements import build_statements
from jobs.states import Status, sources_of


class JobService:
    """
    The writer of jobs.

    Args:
        database: Where the rows are.
        policy: Leases, attempts and ageing.

    Every method takes `now` for tests; None is the database's clock.
    """

    def __init__(self, database: Database, policy: Policy | None = None) -> None:
        self.database = database
        self.policy = policy or Policy()
        self._submits = GroupCommit(database)
        self._do = build_statements(database.engine.dialect.name, database.clock)

    def submit(
        self,
        request: JobRequest,
        *,
        model: str,
        key_id: str,
        task: str,
        job_id: str | None = None,
        service: str | None = None,
        canvas: Mapping[str, Any] | None = None,
        has_successors: bool = False,
        delay_seconds: float = 0.0,
        once: Once | None = None,
        durable: bool = True,
        now: datetime | None = None,
    ) -> Submitted:
        """
        Write the row; committed when this returns.

        It is released at once unless its key has enough lined up already: then it is held back.
        A `job_id` that exists already is left as it is: a redelivered or repeated
        submission is one job.

        Args:
            durable: Also on the disk; False where a power cut takes along whoever waits for the job.

        Raises:
            IdempotencyConflict: `once` was used for another submission; nothing has been written.
        """
        job_id = job_id or str(uuid_utils.uuid7())
        is_delayed = delay_seconds > 0
        values = {
            "id": job_id,
            "task": task,
            "kind": request.resolved_kind,
            "service": service,
            "model": model,
            "key_id": key_id,
            "priority": request.priority,
            "metadata": request.metadata,
            "timeout_seconds": request.timeout_seconds,
            "deadline_seconds": request.deadline_seconds,
            "has_successors": has_successors,
        }
        if is_delayed:
            values["delay_seconds"] = delay_seconds
        else:
            values["due_seconds"] = request.priority * self.policy.ageing_seconds
            values["line_up"] = self.policy.line_up
        statement = self._do.submit_delayed if is_delayed else self._do.submit
        payload = {
            "job_id": job_id,
            "input": Serialised(serialise(request.generation_input())),
            "canvas": Serialised(serialise(canvas)),
        }

        def write(connection: Connection) -> tuple[Any, Any]:
            if once is not None:
                earlier = idempotency.note(connection, key_id, once, job_id)
                if earlier is not None:
                    return None, earlier
            row = statement.one_or_none(connection, {**values, **self.database.at(now)})
            if row is not None:
                self._do.payload.run(connection, payload)
            return row, None

        row, earlier = self._submits.run(write, durable=durable)
        if once is not None and earlier is not None:
            return Submitted(idempotency.same_job(earlier, once), None, is_replay=True)
        if row is None:
            return Submitted(job_id, None)
        if row.released_at is None:
            return Submitted(job_id, None, row)
        return Submitted(job_id, changes.as_publication(row), row, queue_position=row.place)

    def claim(
        self, job_id: str, *, publication: int, worker: str, now: datetime | None = None
    ) -> Claimed | None:
        """Take a pending job; None when the message is void: a duplicate, an older one, or it is too late."""
        values = {
            "of_job": job_id,
            "of_publication": publication,
            "by_worker": worker,
            "lease_seconds": self.policy.lease_seconds,
        }
        with self.database.transaction(durable=False) as connection:
            row = self._do.claim.one_or_none(connection, {**values, **self.database.at(now)})
        return None if row is None else Claimed(job_id=job_id, **row._asdict())

    def renew(self, job_id: str, claim: int, *, now: datetime | None = None) -> bool:
        """Extend the lease; False when the run is no longer the job's: cancelled, or taken back."""
        values = {"of_job": job_id, "of_claim": claim, "lease_seconds": self.policy.lease_seconds}
        with self.database.transaction(durable=False) as connection:
            return bool(self._do.renew.run(connection, {**values, **self.database.at(now)}))

    def finish(
        self,
        job_id: str,
        claim: int,
        outcome: Outcome,
        *,
        now: datetime | None = None,
    ) -> bool:
        """
        Complete a run; False when it is stale, and then nothing of it is kept.

        The same transaction notes that successors are still to be told, so that what a
        crash leaves unsent is sent later.
        """
        values, result = _finished(job_id, claim, outcome)
        with self.database.transaction(durable=False) as connection:
            if not self._do.finish.run(connection, {**values, **self.database.at(now)}):
                return False
            self._do.result.run(connection, result)
            return True

    def rehearse(self) -> None:
        """Prepare what a run writes, for a process whose first run is still to come; only SQLite needs it."""
        if self.database.engine.dialect.name != "sqlite":
            return
        run = {"of_job": "", "of_claim": 0, "lease_seconds": 0.0}
        finished, result = _finished("", 0, Outcome(result={}, result_data=None, processing_seconds=0.0))
        steps: tuple[tuple[Prepared, dict[str, Any]], ...] = (
            (self._do.claim, {"of_job": "", "of_publication": 0, "by_worker": "", "lease_seconds": 0.0}),
            (self._do.renew, run),
            (self._do.finish, finished),
        )
        with self.database.rehearsing() as connection:
            for statement, values in steps:
                with suppress(OperationalError):
                    statement.run(connection, {**values, **self.database.at(None)})
            with suppress(OperationalError):
                self._do.result.run(connection, result)

    def fail_attempt(
        self, claimed: Claimed, failure: Failure, *, worker: str, now: datetime | None = None
    ) -> Status | None:
        """
        Record a failed attempt, and end the job or hold it back for the next one.

        Returns:
            The job's new status: PENDING until its back-off is over, or FAILED; None for a stale run.
        """
        attempts = claimed.attempts + 1
        again = failure.is_retryable and not self.policy.is_spent(attempts, claimed.worker_losses)
        with self.database.writing() as session:
            moment = self.database.moment(now)
            statement = changes.run(claimed.job_id, claimed.claim).values(attempts=attempts, lease_until=None)
            if again:
                before = history.lock_row(session, Job.id == claimed.job_id, Job.claim == claimed.claim)
                if before is not None:
                    history.keep(session, before, history.RELEASED, history.PUBLISHED)
                own = attempts - claimed.worker_losses
                wait = backoff_seconds(own, self.policy.backoff_seconds)
                statement = statement.values(
                    status=Status.PENDING, released_at=None, due_at=None, not_before=later(moment, wait)
                )
            else:
                statement = statement.values(**changes.failure(failure, moment))
            if not changes.applied(session, statement):
                session.rollback()
                return None
            changes.record_attempt(
                session, failure, job_id=claimed.job_id, claim=claimed.claim, worker=worker, moment=moment
            )
            if failure.text is not None and not again:
                session.add(JobResult(job_id=claimed.job_id, result=None, result_data=failure.text))
        return Status.PENDING if again else Status.FAILED

    def hand_back(
        self, job_id: str, claim: int, *, reason: str = "outage", now: datetime | None = None
    ) -> Publication | None:
        """
        Return a run to its queue without costing an attempt; None for a stale run.

        Args:
            reason: For the job's history: `outage` of Ollama, `drain` of the worker, or `overlap`: it waited
                inside Ollama for a slot.
        """
        with self.database.writing() as session:
            before = history.lock_row(session, Job.id == job_id, IS_RUNNING, Job.claim == claim)
            if before is None:
                return None
            publication, at = self._publish_again(
                session, before, now, status=Status.PENDING, lease_until=None
            )
            history.keep(session, before, history.CLAIMED)
            run = {"worker": before.worker, "claim": claim, "reason": reason}
            history.note(session, job_id, [Moment(at, history.HANDED_BACK, run)])
        return publication

    def change_priority(
        self, job_id: str, priority: int, *, now: datetime | None = None
    ) -> Publication | None:
        """
        Give a pending job another priority, as if it had been submitted with it: its age stays.

        Returns:
            The message that takes the place of the one before; None for a job that is not
            released, or has this priority already.

        Raises:
            AlreadyComplete, NotPending: too late. JobNotFound: no such job.
        """
        with self.database.writing() as session:
            before = history.lock_row(session, Job.id == job_id, IS_PENDING)
            if before is None:
                _explain(session, job_id, NotPending)
            if before.priority == priority:
                return None
            change = {"from": before.priority, "to": priority}
            if before.released_at is None:
                session.execute(update(Job).where(Job.id == job_id).values(priority=priority))
                at = session.execute(select(self.database.moment(now))).scalar_one()
                publication = None
            else:
                due = due_at(before.released_at, priority, self.policy.ageing_seconds)
                publication, at = self._publish_again(session, before, now, priority=priority, due_at=due)
            history.note(session, job_id, [Moment(at, history.PRIORITY_CHANGED, change)])
        return publication

    def _publish_again(
        self, session: Session, before: Job, now: datetime | None, **values: Any
    ) -> tuple[Publication, datetime]:
        """Change a locked row with a new publication, and keep when the one before it was; and the time."""
        statement = (
            update(Job)
            .where(Job.id == before.id)
            .values(**values, **changes.publish(self.database.moment(now)))
            .returning(*changes.PUBLICATION_COLUMNS, Job.published_at)
        )
        history.keep(session, before, history.PUBLISHED)
        row = session.execute(statement).one()
        return changes.as_publication(row), row.published_at

    def cancel(self, job_id: str, *, only_pending: bool = False, now: datetime | None = None) -> None:
        """
        Cancel a pending or running job. A run that loses its job so stops by itself.

        Args:
            only_pending: Leave a running one alone.

        Raises:
            AlreadyComplete: too late. JobNotFound: no such job.
        """
        sources = {Status.PENDING} if only_pending else sources_of(Status.CANCELLED)
        statement = (
            update(Job)
            .where(Job.id == job_id, Job.status.in_(sources))
            .values(
                status=Status.CANCELLED,
                completed_at=self.database.moment(now),
                lease_until=None,
                successors_pending=Job.has_successors,
                error_code="cancelled",
                error_message="The job was cancelled.",
            )
        )
        with self.database.writing() as session:
            if not changes.applied(session, statement):
                _explain(session, job_id)

    def retry(self, job_id: str, *, now: datetime | None = None) -> Publication:
        """
        Run a failed, expired or cancelled job again, with a new budget of attempts and no deadline.

        Raises:
            AlreadyComplete: it has a result. StillActive: it has not ended. JobNotFound: no such job.
        """
        moment = self.database.moment(now)
        statement = (
            update(Job)
            .where(Job.id == job_id, Job.status.in_(sources_of(Status.PENDING) - {Status.PROCESSING}))
            .values(
                status=Status.PENDING,
                attempts=0,
                worker_losses=0,
                not_before=None,
                deadline_at=None,
                started_at=None,
                completed_at=None,
                successors_pending=False,
                error_code=None,
                error_message=None,
                **changes.release(moment, Job.priority, self.policy),
                **changes.publish(moment),
            )
        )
        with self.database.writing() as session:
            before = history.lock_row(session, Job.id == job_id)
            found = changes.publications(session, statement)
            if not found or before is None:
                _explain(session, job_id, StillActive)
            at = session.execute(select(Job.published_at).where(Job.id == job_id)).scalar_one()
            assert at is not None  # noqa: S101 - just published
            history.note(session, job_id, [*history.moments_of(before)[1:], Moment(at, history.RETRIED)])
            session.execute(delete(JobResult).where(JobResult.job_id == job_id))
        return found[0]

    def successors_sent(self, job_id: str) -> None:
        """The job's links, chain, chord and errbacks have been handed to Celery."""
        with self.database.writing() as session:
            session.execute(
                update(Job)
                .where(Job.id == job_id, Job.successors_pending.is_(True))
                .values(successors_pending=False)
            )


def _finished(job_id: str, claim: int, outcome: Outcome) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the row and the result of a finished run say."""
    values = {
        "of_job": job_id,
        "of_claim": claim,
        "new_processing_seconds": outcome.processing_seconds,
        "new_load_seconds": outcome.load_seconds,
        "new_first_token_seconds": outcome.first_token_seconds,
        "new_prompt_tokens": outcome.prompt_tokens,
        "new_output_tokens": outcome.output_tokens,
        "new_tokens_per_second": outcome.tokens_per_second,
    }
    result = {
        "job_id": job_id,
        "result": Serialised(serialise(outcome.result)),
        "result_data": Serialised(serialise(outcome.result_data)),
    }
    return values, result


def _explain(session: Session, job_id: str, unless_complete: type[JobsError] = AlreadyComplete) -> NoReturn:
    """Say why a change did not happen."""
    status = session.execute(select(Job.status).where(Job.id == job_id)).scalar_one_or_none()
    if status is None:
        raise JobNotFound
    kind = AlreadyComplete if Status(status).is_complete else unless_complete
    raise kind(f"The job is {status}.")
