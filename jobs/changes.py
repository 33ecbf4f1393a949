"""The conditional UPDATEs and the values they set, shared by the service and the housekeeping."""

from typing import Any

from sqlalchemy import ColumnElement, Double, Update, insert, literal, select, type_coerce, update
from sqlalchemy.orm import Session

from jobs.instants import Instant
from jobs.models import IS_RUNNING, Attempt, Job
from jobs.records import Failure, Policy, Publication
from jobs.states import Status

PUBLICATION_COLUMNS = (Job.id, Job.publication, Job.task, Job.model, Job.key_id, Job.due_at, Job.priority)


def run(job_id: str, claim: int) -> Update:
    """The row, as long as this run is the job's: the fence that a stale run can't pass."""
    return update(Job).where(Job.id == job_id, IS_RUNNING, Job.claim == claim)


def applied(session: Session, statement: Update) -> bool:
    """Whether the UPDATE's condition held."""
    return session.execute(statement.returning(Job.id)).first() is not None


def release(moment: ColumnElement[Any], priority: Any, policy: Policy) -> dict[str, Any]:
    """Let a job age from `moment` on; `priority` is a number or the row's column."""
    due = type_coerce(moment + priority * literal(policy.ageing_seconds, Double), Instant)
    return {"released_at": moment, "due_at": due}


def publish(moment: ColumnElement[Any]) -> dict[str, Any]:
    """A new publication: every message before it is void from here on."""
    return {"publication": Job.publication + 1, "published_at": moment}


def failure(failure: Failure, moment: ColumnElement[Any]) -> dict[str, Any]:
    """The end of a job that used up its attempts, or that no further attempt can help."""
    return {
        "status": Status.FAILED,
        "completed_at": moment,
        "lease_until": None,
        "successors_pending": Job.has_successors,
        "error_code": failure.code,
        "error_message": failure.message,
    }


def as_publication(row: Any) -> Publication:
    """The message about a row of `PUBLICATION_COLUMNS`."""
    return Publication(row.id, row.publication, row.task, row.model, row.key_id, row.due_at, row.priority)


def publications(session: Session, statement: Update) -> list[Publication]:
    """Run an UPDATE that publishes, and say what to publish."""
    return [as_publication(row) for row in session.execute(statement.returning(*PUBLICATION_COLUMNS))]


def record_attempt(
    session: Session,
    failure: Failure,
    *,
    job_id: str,
    claim: int,
    worker: str | None,
    moment: ColumnElement[Any],
) -> None:
    """Keep why a run failed."""
    started_at = select(Job.started_at).where(Job.id == job_id).scalar_subquery()
    values = {"job_id": job_id, "claim": claim, "worker": worker, "started_at": started_at}
    session.execute(
        insert(Attempt).values(**values, ended_at=moment, code=failure.code, message=failure.message)
    )
