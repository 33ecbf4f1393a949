"""Jobs as the caller may see them; a stranger's is as unknown as one that never was."""

from collections.abc import Callable

from sqlalchemy.orm import Session

from api.auth import caller
from api.database import get_database
from api.list_query import ListQuery
from api.rendering import render_job
from api.schemas import JobAnswer
from jobs.errors import JobNotFound
from jobs.history import Moment, read_history
from jobs.keys import Caller
from jobs.listing import JobFilter, list_jobs
from jobs.models import ID_LENGTH, Job
from jobs.positions import is_held, queue_position, queue_positions
from jobs.queries import (
    JobView,
    find_job,
    list_attempts,
    list_results,
    read_status,
    view_job,
)


def view_own_job(job_id: str, *, whole: bool = False) -> JobView:
    """
    A job of the caller's.

    Raises:
        JobNotFound: there is none, or it is somebody else's.
    """
    with get_database().reading() as session:
        return view_job(session, _find(session, job_id, caller()), whole=whole)


def view_new_job(job: Job, position: int | None) -> JobView:
    """
    A job that the caller has submitted just now.

    Args:
        position: Its `queue_position`, as far as the submit has told it.
    """
    if is_held(job):
        with get_database().engine.connect() as connection:
            position = queue_position(connection, job)
    return JobView(job=job, attempts=[], queue_position=position)


def read_own_history(job_id: str) -> tuple[Job, list[Moment]]:
    """
    A job of the caller's, and what has happened to it.

    Raises:
        JobNotFound: there is none, or it is somebody else's.
    """
    with get_database().reading() as session:
        job = _find(session, job_id, caller())
        return job, read_history(session, job)


def read_own_position(job_id: str) -> tuple[Job, int | None]:
    """
    A job of the caller's, and its `queue_position`.

    Raises:
        JobNotFound: there is none, or it is somebody else's.
    """
    with get_database().reading() as session:
        job = _find(session, job_id, caller())
        return job, queue_position(session.connection(), job)


def check_own_job(job_id: str) -> None:
    """
    Make sure that a job is the caller's.

    Raises:
        JobNotFound: there is none, or it is somebody else's.
    """
    with get_database().reading() as session:
        _find(session, job_id, caller())


def list_own_jobs(query: ListQuery) -> tuple[list[JobView], str | None]:
    """
    A page of jobs, and the cursor of the next one: as many queries whatever the page's size.

    Raises:
        InvalidRequest: the cursor is not one of ours.
    """
    asking = caller()
    wanted = JobFilter(
        key_id=None if asking.is_admin else asking.key_id,
        status=query.status,
        model=query.model,
        kind=query.kind,
        service=query.service,
        priority=query.priority,
        created_after=query.created_after,
        created_before=query.created_before,
        metadata=query.metadata,
    )
    with get_database().reading() as session:
        found, next_cursor = list_jobs(session, wanted, limit=query.limit, cursor=query.cursor)
        results = list_results(session, found)
        attempts = list_attempts(session, found)
        positions = queue_positions(session, found)
    views = [
        JobView(
            job=job,
            attempts=attempts.get(job.id, []),
            queue_position=positions.get(job.id),
            result_data=results.get(job.id),
        )
        for job in found
    ]
    return views, next_cursor


def job_reader(job_id: str, root: str) -> Callable[[], JobAnswer]:
    """Reads a job, whose owner has been checked, again and again: also when its request is answered."""
    database = get_database()

    def read() -> JobAnswer:
        with database.reading() as session:
            job = find_job(session, job_id)
            if job is None:
                raise JobNotFound
            return render_job(view_job(session, job), root)

    return read


def status_reader(job_id: str) -> Callable[[], bool]:
    """Whether a job, whose owner has been checked, is complete; also true for one that is gone."""
    database = get_database()

    def is_complete() -> bool:
        with database.reading() as session:
            status = read_status(session, job_id)
        return status is None or status.is_complete

    return is_complete


def _find(session: Session, job_id: str, asking: Caller) -> Job:
    # An id that isn't printable is nobody's, and Postgres would not even take it.
    job = find_job(session, job_id) if len(job_id) <= ID_LENGTH and job_id.isprintable() else None
    if job is None or not asking.may_see(job.key_id):
        raise JobNotFound
    return job
