"""Submitting and cancelling: the same path as `.delay()`, with the caller as owner."""

import logging

import redis

from api.access import check_own_job
from api.auth import caller
from api.backlog import backlog
from api.late import get_resources, task_of
from jobs.events import DONE
from jobs.requests import SubmitJob
from jobs.states import Status

log = logging.getLogger(__name__)


def submit_job(request: SubmitJob) -> str:
    """
    Accept a job.

    Returns:
        Its id; the row is committed.

    Raises:
        QueueFull, ModelNotInstalled, NoModel: nothing has been written.
    """
    backlog().admit()
    return task_of(request.resolved_kind).submit(request, key_id=caller().key_id).job_id


def cancel_job(job_id: str) -> None:
    """
    Cancel the caller's job, and tell whoever runs or reads it.

    Raises:
        JobNotFound, AlreadyComplete: nothing has changed.
    """
    check_own_job(job_id)
    resources = get_resources()
    resources.service.cancel(job_id)
    try:
        resources.events.cancelled(job_id)
        resources.events.add(job_id, DONE, {"status": Status.CANCELLED})
    except redis.RedisError as error:
        # The row is cancelled: the run ends at its next renewal, and readers look at the row.
        log.warning("cancelling job %s: Redis is away (%s)", job_id, type(error).__name__)
