"""`Idempotency-Key` of a request: the same value and body is the same job again."""

import hashlib
import re
from typing import cast

from flask import Response, after_this_request, request

from api.auth import caller
from api.database import get_database
from api.errors import InvalidFields
from api.incoming import PaddockRequest
from jobs.idempotency import MAX_LENGTH, Once, earlier_job
from jobs.records import Submitted

HEADER = "Idempotency-Key"
_VALUE = re.compile(rf"[!-~](?:[ -~]{{0,{MAX_LENGTH - 2}}}[!-~])?")


def asked_once() -> Once | None:
    """
    What the request asks to be done at most once; None: it does not.

    Raises:
        InvalidFields: the header's value can't be one.
    """
    value = request.headers.get(HEADER)
    if value is None:
        return None
    if not _VALUE.fullmatch(value):
        raise InvalidFields({HEADER: [f"expected 1 to {MAX_LENGTH} printable ASCII characters"]})
    read = cast(PaddockRequest, request)
    asked = f"{read.path.rstrip('/')}\n{read.body_digest}"
    return Once(value, hashlib.sha256(asked.encode()).hexdigest())


def replayed(once: Once | None) -> Submitted | None:
    """
    The job that this request has made already, if so; the response says so.

    Raises:
        IdempotencyConflict: the value was used for another submission.
    """
    job_id = earlier_job(get_database(), caller().key_id, once) if once else None
    return tell(Submitted(job_id, None, is_replay=True)) if job_id else None


def tell(submitted: Submitted) -> Submitted:
    """Say in the response that the job was there already."""

    def mark(response: Response) -> Response:
        response.headers["Idempotent-Replayed"] = "true"
        return response

    if submitted.is_replay:
        after_this_request(mark)
    return submitted
