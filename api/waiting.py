"""Waiting for a job's end without a thread, a connection or a tight poll for each that waits."""

import time
from collections.abc import Callable

from api.live import LiveEvents
from jobs.events import DONE

POLL_SECONDS = 1.0  # how often a row is looked at while Redis is away
RECHECK_SECONDS = 5.0  # and while it is there, for the events that nobody wrote
_DONE = frozenset({DONE})


def wait_until_complete(
    job_id: str, seconds: float, *, live: LiveEvents, is_complete: Callable[[], bool]
) -> None:
    """
    Return when the job is complete, or after `seconds`.

    The row is looked at after subscribing, so a job that ends in between is not missed.
    """
    deadline = time.monotonic() + seconds
    with live.subscribe(job_id, only=_DONE) as subscription:
        while not is_complete():
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return
            pause = RECHECK_SECONDS if live.is_connected else POLL_SECONDS
            subscription.get(min(remaining, pause))
