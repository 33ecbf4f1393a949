"""How a job ended, as the client of an Ollama or OpenAI route is told."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, select

from jobs.database import Database
from jobs.models import Base, Job, JobResult
from jobs.states import Status
from jobs.wire import WireRoute, error_body, whole_answer

CLIENT_CLOSED = 499  # nginx's; no official client repeats a request that was answered so
_JOBS, _RESULTS = Base.metadata.tables[Job.__tablename__], Base.metadata.tables[JobResult.__tablename__]
# Built once: it is part of every answer in one piece.
_END = (
    select(
        _JOBS.c.status, _JOBS.c.error_code, _JOBS.c.error_message, _RESULTS.c.result, _RESULTS.c.result_data
    )
    .select_from(_JOBS.outerjoin(_RESULTS, _RESULTS.c.job_id == _JOBS.c.id))
    .where(_JOBS.c.id == bindparam("of_job"))
)
_STATUSES = {
    "bad_request": 400,
    "model_not_found": 404,
    "first_token_timeout": 504,
    "ollama_timeout": 504,
    "total_timeout": 504,
}


@dataclass(frozen=True)
class Ended:
    """
    A job's end.

    Attributes:
        http_status, body: The answer in one piece, where it is known.
        raw: The last lines of a stream.
        is_one_object: `raw` is one JSON object and no line.
    """

    status: Status
    http_status: int = 200
    body: Mapping[str, Any] | None = None
    raw: str | None = None
    is_one_object: bool = False


def read_end(database: Database, job_id: str, route: WireRoute) -> Ended | None:
    """How a job has ended, from its row; None while it has not."""
    with database.engine.connect() as connection:
        row = connection.execute(_END, {"of_job": job_id}).one_or_none()
    if row is None:
        return _failed(route, Status.CANCELLED, 404, "The job is not there any more.")
    status = Status(row.status)
    if not status.is_complete:
        return None
    if status is Status.COMPLETED:
        return Ended(status, 200, whole_answer(route.path, row.result, row.result_data))
    if status is Status.FAILED:
        return _failed(route, status, _STATUSES.get(row.error_code, 500), row.error_message)
    # The codes with which the job's own routes refuse its result.
    return _failed(
        route, status, CLIENT_CLOSED, row.error_message or f"The job is {status}.", f"job_{status}"
    )


def _failed(
    route: WireRoute, status: Status, http_status: int, message: str, code: str | None = None
) -> Ended:
    return Ended(status, http_status, error_body(route.dialect, http_status, message, code))


def end_of(status: Status, error: Mapping[str, Any], *, has_begun: bool) -> Ended:
    """The end with the answer that the worker has found for it."""
    if has_begun and error["status"] == 200:
        return Ended(status, raw="")  # Ollama gave up, and ends its streams without a word
    return Ended(status, error["status"], error["body"])


def as_stream(ended: Ended, route: WireRoute) -> str:
    """The last lines of a stream; an answer of which nothing was sent yet comes in one of them."""
    if ended.raw is not None:
        return ended.raw
    text = dump(ended.body or {})
    if route.dialect == "ollama":
        return f"{text}\n"
    if ended.http_status != 200 or ended.body is None:
        return f"data: {text}\n\n"
    return f"data: {dump(_as_chunk(ended.body))}\n\ndata: [DONE]\n\n"


def _as_chunk(whole: Mapping[str, Any]) -> dict[str, Any]:
    """A whole completion as the only chunk of a stream."""
    is_chat = whole["object"] == "chat.completion"
    choices = [
        {"delta" if name == "message" else name: value for name, value in choice.items()}
        for choice in whole["choices"]
    ]
    kind = "chat.completion.chunk" if is_chat else whole["object"]
    return {**whole, "object": kind, "choices": choices}


def dump(value: Any) -> str:
    """Compact JSON."""
    return json.dumps(value, separators=(",", ":"))
