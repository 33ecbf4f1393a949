"""
`Prefer: wait=N` (RFC 7240): answer when the job is complete, or after N seconds.

What can't be read is ignored, as the RFC asks; more than MAX_WAIT_SECONDS is that
many, and so is `wait` alone. `Preference-Applied` says what was done.
"""

import re

from flask import Response, after_this_request, request

from api.access import check_own_job, status_reader
from api.live import live_events
from api.schemas import MAX_WAIT_SECONDS
from api.waiting import wait_until_complete

_WAIT = re.compile(r'wait(?:\s*=\s*"?([0-9]{1,9})"?)?', re.IGNORECASE)


def preferred_wait() -> int | None:
    """How many seconds the caller would like to wait; None without a preference."""
    for preference in request.headers.get("Prefer", "").split(","):
        found = _WAIT.fullmatch(preference.partition(";")[0].strip())
        if found:
            return min(int(found[1] or MAX_WAIT_SECONDS), MAX_WAIT_SECONDS)
    return None


def wait_as_preferred(job_id: str) -> bool:
    """
    Wait for the end of the caller's job as long as the caller prefers; whether that was wished at all.

    Raises:
        JobNotFound: there is none, or it is somebody else's.
    """
    seconds = preferred_wait()
    if seconds is None:
        return False
    check_own_job(job_id)
    is_complete = status_reader(job_id)
    if seconds and not is_complete():
        wait_until_complete(job_id, seconds, live=live_events(), is_complete=is_complete)

    @after_this_request
    def say_so(response: Response) -> Response:
        response.headers["Preference-Applied"] = f"wait={seconds}"
        return response

    return True
