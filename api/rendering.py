"""A job as the API shows it."""

import json
from typing import Any
from urllib.parse import quote, urlsplit

from flask import Response
from pydantic import BaseModel
from pydantic_core import PydanticSerializationError

from api.errors import retry_after
from api.late import get_resources
from api.schemas import (
    AttemptAnswer,
    HistoryAnswer,
    JobAnswer,
    JobError,
    JobUrls,
    MomentAnswer,
    SpanAnswer,
    WholeJob,
)
from jobs.history import Moment, spans
from jobs.models import Attempt, Job
from jobs.queries import JobView, queue_seconds
from jobs.states import Status

JOBS_PATH = "/api/llm/jobs"


def job_path(job_id: str, root: str = "") -> str:
    """
    Where a job is.

    Args:
        root: What the server put before every path (WSGI's SCRIPT_NAME).
    """
    return f"{root}{JOBS_PATH}/{quote(job_id, safe='')}/"


def render_job(view: JobView, root: str = "") -> JobAnswer:
    return JobAnswer(**_fields(view, root))


def render_whole(view: JobView, root: str = "") -> WholeJob:
    return WholeJob(**_fields(view, root), input=view.input, result=view.result)


def render_history(job: Job, moments: list[Moment]) -> HistoryAnswer:
    return HistoryAnswer(
        job_id=job.id,
        status=Status(job.status),
        events=[
            MomentAnswer(
                at=moment.at,
                event=moment.event,
                after_seconds=max(0.0, (moment.at - job.created_at).total_seconds()),
                detail=moment.detail,
            )
            for moment in moments
        ],
        spans=[
            SpanAnswer(name=span.name, began_at=span.began_at, ended_at=span.ended_at)
            for span in spans(moments)
        ],
    )


def _fields(view: JobView, root: str) -> dict[str, Any]:
    job = view.job
    path = job_path(job.id, root)
    urls = {name: f"{path}{name}/" for name in ("status", "result", "events", "cancel", "why")}
    return {
        "job_id": job.id,
        "status": Status(job.status),
        "is_complete": Status(job.status).is_complete,
        "kind": job.kind,
        "service": job.service,
        "model": job.model,
        "priority": job.priority,
        "queue_position": view.queue_position,
        "estimated_wait_seconds": estimated_wait_seconds(job, view.queue_position),
        "attempts": job.attempts,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "completed_at": job.completed_at,
        "queue_seconds": queue_seconds(job),
        "processing_time": job.processing_seconds,
        "load_seconds": job.load_seconds,
        "prompt_tokens": job.prompt_tokens,
        "output_tokens": job.output_tokens,
        "tokens_per_second": job.tokens_per_second,
        "worker": job.worker,
        "metadata": job.labels,
        "error": _error(job, view.attempts),
        "result_data": view.result_data,
        "urls": JobUrls(**urls),
    }


def estimated_wait_seconds(job: Job, queue_position: int | None) -> float | None:
    """Of a job that waits; None where it is not known."""
    if queue_position is None:
        return None
    found = get_resources().forecaster.estimate(job, queue_position)
    return None if found is None else round(found.seconds, 3)


def _error(job: Job, attempts: list[Attempt]) -> JobError | None:
    """The job's own error; while it is tried again, the last attempt's; none once it is completed."""
    if job.status == Status.COMPLETED:
        return None
    shown = [
        AttemptAnswer(
            code=attempt.code,
            message=attempt.message,
            worker=attempt.worker,
            started_at=attempt.started_at,
            ended_at=attempt.ended_at,
        )
        for attempt in attempts
    ]
    if job.error_code is not None:
        return JobError(code=job.error_code, message=job.error_message or "", attempt_errors=shown)
    if shown:
        return JobError(code=shown[-1].code, message=shown[-1].message, attempt_errors=shown)
    return None


def without_credentials(url: str) -> str:
    """A URL to show."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def to_json(answer: BaseModel, *, without_null: bool = False) -> str:
    """Compact ASCII: nothing in an answer, not even half a surrogate pair, can fail to be sent."""
    try:
        return answer.model_dump_json(exclude_none=without_null, ensure_ascii=True)
    except PydanticSerializationError:  # half a surrogate pair, which JSON can say and UTF-8 can't
        values = answer.model_dump(mode="json", exclude_none=without_null)
        return json.dumps(values, separators=(",", ":"))


def respond(answer: BaseModel, status: int = 200, *, without_null: bool = False) -> Response:
    """An answer as JSON."""
    body = to_json(answer, without_null=without_null)
    return Response(body, status=status, mimetype="application/json")


def respond_job(view: JobView, root: str, status: int = 200) -> Response:
    """A job, and while it is not complete, when to ask again."""
    response = respond(render_job(view, root), status)
    if not Status(view.job.status).is_complete:
        response.headers["Retry-After"] = retry_after()
    return response
