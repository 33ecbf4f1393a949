"""Submitting, cancelling, retrying and moving: the same path as `.delay()`, with the caller as owner."""

from typing import TYPE_CHECKING

from flask import Response, request

from api.access import check_own_job, view_new_job, view_own_job
from api.auth import caller
from api.backlog import backlog
from api.idempotency import asked_once, replayed, tell
from api.key_limits import allowed_priority, within_limits
from api.late import task_of
from api.preferences import wait_as_preferred
from api.rendering import job_path, respond_job
from jobs.records import Submitted
from jobs.requests import SubmitJob
from jobs.states import Status

if TYPE_CHECKING:
    from tasks.job_task import JobTask


def submit_job(request: SubmitJob, *, task: "JobTask | None" = None, service: str | None = None) -> Submitted:
    """
    Accept a job.

    Args:
        task: The task that runs it; None: the one of its kind.

    Returns:
        Its committed row; the earlier one, where the request repeats itself.

    Raises:
        IdempotencyConflict: the request's Idempotency-Key was used for another one.
        QueueFull, ModelNotInstalled, NoModel: nothing has been written.
        ModelNotAllowed, TooManyPending, TooManyRequests: nor when the key's limits forbid it.
    """
    once = asked_once()
    earlier = replayed(once)
    if earlier is not None:
        return earlier
    asking = caller()
    request = within_limits(request, asking)
    backlog().admit()
    task = task or task_of(request.resolved_kind)
    return tell(task.submit(request, key_id=asking.key_id, service=service, once=once))


def respond_submitted(submitted: Submitted) -> Response:
    """
    The answer to a submit, after as much waiting as the caller prefers.

    Returns:
        202; 200 where the caller preferred to wait and the job is complete, or has submitted it before.
    """
    job_id = submitted.job_id
    has_waited = wait_as_preferred(job_id)
    if submitted.job is None or has_waited:
        view = view_own_job(job_id)
    else:
        view = view_new_job(submitted.job, submitted.queue_position)
    # A job that was quick enough to end meanwhile still gets 202 from a caller that did not wait.
    is_complete = has_waited and Status(view.job.status).is_complete
    status = 200 if is_complete or submitted.is_replay else 202
    response = respond_job(view, request.script_root, status)
    response.headers["Location"] = job_path(job_id, request.script_root)
    response.headers["X-Priority"] = str(view.job.priority)  # an earlier job's too
    return response


def cancel_own_job(job_id: str) -> None:
    """
    Cancel the caller's job, and tell whoever runs or reads it.

    Raises:
        JobNotFound, AlreadyComplete: nothing has changed.
    """
    from tasks.cancelling import cancel_job

    check_own_job(job_id)
    cancel_job(job_id)


def retry_own_job(job_id: str) -> None:
    """
    Run the caller's failed, expired or cancelled job again.

    Raises:
        JobNotFound, AlreadyComplete, StillActive, QueueFull: nothing has changed.
    """
    from tasks.retrying import retry_job

    check_own_job(job_id)
    backlog().admit()
    retry_job(job_id)


def move_own_job(job_id: str, priority: int) -> None:
    """
    Give the caller's pending job another priority, as far as the key may.

    Raises:
        JobNotFound, AlreadyComplete, NotPending: nothing has changed.
    """
    from tasks.moving import move_job

    check_own_job(job_id)
    move_job(job_id, allowed_priority(priority, caller()))
