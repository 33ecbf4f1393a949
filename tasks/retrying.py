"""Running a job again: the row first, then the message and whoever listens."""

import logging

import redis

from jobs.events import STATUS
from jobs.states import Status
from tasks.publishing import publish
from tasks.resources import get_resources

log = logging.getLogger(__name__)


def retry_job(job_id: str) -> None:
    """
    Put a failed, expired or cancelled job back into its queue, with a new budget of attempts.

    Raises:
        AlreadyComplete: it has a result. StillActive: it has not ended. JobNotFound: no such job.
    """
    resources = get_resources()
    publication = resources.service.retry(job_id)
    publish(resources.round_trip, [publication], ageing_seconds=resources.settings.ageing_seconds)
    try:
        resources.events.add(job_id, STATUS, {"status": Status.PENDING})
    except redis.RedisError as error:
        log.warning("job %s runs again, its readers are not told: %s", job_id, type(error).__name__)
