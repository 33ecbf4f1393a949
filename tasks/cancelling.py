"""Cancelling a job: the row first, then whoever runs it or listens to it is told."""

import logging
from contextlib import suppress

import redis

from jobs.errors import AlreadyComplete, JobNotFound
from jobs.events import DONE
from jobs.states import Status
from tasks.resources import get_resources

log = logging.getLogger(__name__)


def cancel_job(job_id: str, *, only_pending: bool = False) -> None:
    """
    Cancel a pending or running job; a running generation then stops in Ollama.

    Raises:
        AlreadyComplete: too late. JobNotFound: no such job.
    """
    resources = get_resources()
    resources.service.cancel(job_id, only_pending=only_pending)
    try:
        resources.events.cancelled(job_id)
        resources.events.add(job_id, DONE, {"status": Status.CANCELLED})
    except redis.RedisError as error:
        # The run ends at its next renewal, and readers look at the row.
        log.warning("job %s is cancelled, nobody could be told yet: %s", job_id, type(error).__name__)


def cancel_quietly(job_id: str, *, only_pending: bool = False) -> None:
    """The same for Celery's revoke, which never fails: a job that has ended stays as it is."""
    with suppress(AlreadyComplete, JobNotFound):
        cancel_job(job_id, only_pending=only_pending)
