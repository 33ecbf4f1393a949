"""A key's next job is released when one of its jobs is claimed, while Ollama works at that one."""

import logging
import threading

from sqlalchemy.exc import SQLAlchemyError

from jobs.records import Claimed
from jobs.scheduling.window import Line
from jobs.window import release_next
from tasks.publishing import publish
from tasks.resources import Resources

PAUSE_SECONDS = 0.01  # by then the request to Ollama is out, which comes first
log = logging.getLogger(__name__)


def release_behind(resources: Resources, claimed: Claimed) -> None:
    """Let the next job of the claimed one's line take its place if need be, soon and in another thread."""
    if claimed.needs_next:
        timer = threading.Timer(PAUSE_SECONDS, release_one, (resources, claimed))
        timer.daemon = True  # the worker's end is not held up: the keeper releases what is missed
        timer.start()


def release_one(resources: Resources, claimed: Claimed) -> None:
    """Release and publish."""
    line = Line(claimed.model, claimed.key_id, claimed.priority)
    try:
        released = release_next(resources.service, line)
    except SQLAlchemyError as error:
        log.info("nothing released behind job %s: %s", claimed.job_id, type(error).__name__)
        return
    publish(resources.round_trip, released, ageing_seconds=resources.settings.ageing_seconds)
