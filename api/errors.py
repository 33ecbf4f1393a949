"""
Errors as RFC 9457 problems: one table from error class to status, code and title.

    ApiError
    ├── Unauthorized          no key, or not a valid one
    ├── Forbidden             the key may not do this
    ├── ForeignRequest        without keys, only this machine's own pages and programs are answered
    ├── BrokenJson            the body is not JSON
    ├── WrongField            a field of a drop-in route's body has the wrong type
    ├── UnknownWorker         no live worker has this name, or none was named and there are several
    ├── NoWorker              no worker is alive
    ├── OllamaNotReached      a worker's Ollama can't be reached from here
    └── MissingParameter      a query parameter is required

The core's errors (`jobs.errors`), werkzeug's and the database's are in the table too.
A class that is not in it answers as its nearest parent that is.
"""

import json
import logging
import math
import re
import traceback
from collections.abc import Mapping
from typing import Any, NamedTuple

from flask import Flask, Response, g, request
from pydantic import ValidationError
from sqlalchemy import exc as database_errors
from werkzeug import exceptions as http

from api.configuration import current_settings
from api.dialects import dialect_of
from jobs import errors as core
from jobs.requests import describe_problem
from jobs.wire import Dialect, error_body

log = logging.getLogger(__name__)


class ApiError(core.JobsError):
    """The request can't be answered."""


class Unauthorized(ApiError):
    """Send an API key: "Authorization: Bearer KEY", or Basic with the key as password."""


class Forbidden(ApiError):
    """This key may not do that."""


class ForeignRequest(ApiError):
    """Without API keys, only requests from this machine to its own name are answered."""


class BrokenJson(ApiError):
    """The body is not valid JSON."""


class WrongField(ApiError):
    """A field of the body has another type than it must have."""


class OllamaNotReached(ApiError):
    """The worker's Ollama could not be asked."""


class UnknownWorker(ApiError):
    """No live worker has this name."""


class NoWorker(ApiError):
    """No worker is alive, so there is no Ollama to ask."""


class MissingParameter(ApiError):
    """A query parameter is missing."""


class JobCancelled(core.JobFailed):
    """The job was cancelled, so it has no result."""


class JobExpired(core.JobFailed):
    """The job was not started before its deadline, so it has no result."""


class InvalidFields(core.InvalidRequest):
    """Some values are not allowed; "errors" names them."""

    def __init__(self, errors: dict[str, list[str]]) -> None:
        super().__init__()
        self.errors = errors


class Kind(NamedTuple):
    """How a class of errors is answered. `retry` adds Retry-After."""

    status: int
    code: str
    title: str
    retry: bool = False


_NO_DATABASE = Kind(503, "database_unavailable", "The database can't be reached", retry=True)

ERRORS: dict[type[Exception], Kind] = {
    BrokenJson: Kind(400, "broken_json", "The body is not valid JSON"),
    WrongField: Kind(400, "wrong_field", "A field has the wrong type"),
    MissingParameter: Kind(400, "missing_parameter", "A parameter is missing"),
    http.BadRequest: Kind(400, "bad_request", "The request can't be understood"),
    Unauthorized: Kind(401, "unauthorized", "A valid API key is required"),
    Forbidden: Kind(403, "forbidden", "Not allowed with this key"),
    ForeignRequest: Kind(403, "foreign_request", "Only this machine is answered"),
    core.ModelNotAllowed: Kind(403, "model_not_allowed", "The key may not use this model"),
    core.JobNotFound: Kind(404, "job_not_found", "No such job"),
    core.KeyNotFound: Kind(404, "key_not_found", "No such API key"),
    core.ModelNotInstalled: Kind(404, "model_not_found", "No Ollama has this model"),
    UnknownWorker: Kind(404, "worker_not_found", "No such worker"),
    http.NotFound: Kind(404, "route_not_found", "No such route"),
    http.MethodNotAllowed: Kind(405, "method_not_allowed", "The route does not take this method"),
    core.NotCompleted: Kind(409, "not_completed", "The job is not completed yet"),
    core.AlreadyComplete: Kind(409, "already_complete", "The job is complete"),
    core.NotPending: Kind(409, "not_pending", "The job does not wait any more"),
    core.StillActive: Kind(409, "still_active", "The job has not ended"),
    core.JobFailed: Kind(409, "job_failed", "The job failed"),
    JobCancelled: Kind(409, "job_cancelled", "The job was cancelled"),
    JobExpired: Kind(409, "job_expired", "The job expired"),
    http.RequestEntityTooLarge: Kind(413, "body_too_large", "The body is too large"),
    http.UnsupportedMediaType: Kind(415, "unsupported_media_type", "The body must be JSON"),
    core.InvalidRequest: Kind(422, "invalid_request", "The request is not valid"),
    core.IdempotencyConflict: Kind(422, "idempotency_conflict", "The Idempotency-Key was used before"),
    core.NoModel: Kind(422, "no_model", "No model is known"),
    core.TooManyPending: Kind(429, "too_many_pending", "Too many of the key's jobs are pending", retry=True),
    core.TooManyRequests: Kind(429, "too_many_requests", "The key submits too fast", retry=True),
    NoWorker: Kind(503, "no_worker", "No worker is alive", retry=True),
    OllamaNotReached: Kind(502, "ollama_not_reached", "The worker's Ollama can't be reached"),
    core.QueueFull: Kind(503, "queue_full", "The queue is full", retry=True),
    database_errors.OperationalError: _NO_DATABASE,
    database_errors.InterfaceError: _NO_DATABASE,
    database_errors.TimeoutError: _NO_DATABASE,
    Exception: Kind(500, "internal_error", "Something went wrong inside"),
}

_DETAILS: dict[str, str] = {
    "route_not_found": "There is nothing at this path.",
    "internal_error": "The error has been logged under this request_id.",
    "database_unavailable": "Try again shortly.",
}
_OPAQUE_PART = re.compile(r"[^A-Za-z0-9_.-]")
_TYPE_NAMES = frozenset({"str", "int", "float", "bool", "constrained-str", "none"})


def kind_of(error: Exception) -> Kind:
    """The table's row for this error."""
    if isinstance(error, http.HTTPException) and type(error) not in ERRORS and error.code:
        code = re.sub(r"\W+", "_", error.name.lower())
        return Kind(error.code, code, error.name, retry=error.code == http.ServiceUnavailable.code)
    return next(ERRORS[parent] for parent in type(error).__mro__ if parent in ERRORS)


def answer_error(error: Exception) -> Response:
    """The answer to this error, in the words that the path's clients read."""
    dialect = dialect_of(request.path)
    return problem(error) if dialect is None else _in_dialect(error, dialect)


def _in_dialect(error: Exception, dialect: Dialect) -> Response:
    """As Ollama or OpenAI answers it; neither knows 422."""
    kind = kind_of(error)
    status = 400 if kind.status == http.UnprocessableEntity.code else kind.status
    message = _detail(error, kind)
    if isinstance(error, core.ModelNotInstalled):
        message = f"model '{error.model}' not found"  # clients that pull a missing model look for it
    elif isinstance(error, InvalidFields):
        message = "; ".join(f"{name}: {text}" for name, texts in error.errors.items() for text in texts)
    if dialect == "ollama" and isinstance(error, http.NotFound | http.MethodNotAllowed):
        response = Response(f"{status} {(error.name or '').lower().replace('not found', 'page not found')}")
        response.content_type = "text/plain"
    else:
        body = error_body(dialect, status, message, kind.code)
        end, content_type = ("", "application/json; charset=utf-8")
        if dialect == "openai":
            end, content_type = ("\n", "application/json")
        response = Response(json.dumps(body) + end, content_type=content_type)
    response.status_code = status
    response.headers.update(_headers(error, kind))
    return response


def problem(error: Exception) -> Response:
    """The answer to this error, as `application/problem+json`."""
    kind = kind_of(error)
    body: dict[str, Any] = {
        "type": f"urn:paddock:error:{kind.code}",
        "title": kind.title,
        "status": kind.status,
        "detail": _detail(error, kind),
        "code": kind.code,
        "request_id": g.get("request_id"),
    }
    if isinstance(error, InvalidFields):
        body["errors"] = error.errors
    response = Response(json.dumps(body), status=kind.status, mimetype="application/problem+json")
    response.headers.update(_headers(error, kind))
    return response


def _detail(error: Exception, kind: Kind) -> str:
    """A sentence for people; only the core's and our own errors speak for themselves."""
    if isinstance(error, core.JobsError):
        return error.message
    if isinstance(error, http.HTTPException):
        return _DETAILS.get(kind.code) or error.description or kind.title
    return _DETAILS.get(kind.code, kind.title)


def _headers(error: Exception, kind: Kind) -> Mapping[str, str]:
    headers = {}
    if kind.retry:
        headers["Retry-After"] = retry_after(getattr(error, "retry_after_seconds", None))
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = 'Bearer realm="paddock"'
    if isinstance(error, http.MethodNotAllowed) and error.valid_methods:
        headers["Allow"] = ", ".join(sorted(error.valid_methods))
    return headers


def retry_after(seconds: float | None = None) -> str:
    """When to ask again, for the header: whole seconds, at least one."""
    return str(max(1, math.ceil(current_settings().poll_seconds if seconds is None else seconds)))


def invalid_fields(error: ValidationError) -> InvalidFields:
    """pydantic's findings by field; values are never quoted, since one may be a prompt."""
    found: dict[str, list[str]] = {}
    for item in error.errors(include_input=False, include_url=False, include_context=False):
        message = describe_problem({**item, "loc": ()})[1]
        messages = found.setdefault(_field_name(item["loc"]), [])
        if message not in messages:
            messages.append(message)
    return InvalidFields(found)


def _field_name(location: tuple[int | str, ...]) -> str:
    """The dotted name of a field, without the names pydantic gives to a union's branches."""
    parts = [str(part)[:100] for part in location]
    kept = [p for p in parts[1:] if p not in _TYPE_NAMES and not _OPAQUE_PART.search(p)]
    return ".".join([*parts[:1], *kept]) or "body"


def handle(error: Exception) -> Response:
    """Flask's handler of everything that is raised."""
    kind = kind_of(error)
    if kind.status >= http.InternalServerError.code:
        # Frames and no message: a message may quote what was being worked on, a prompt included.
        frames = "".join(traceback.format_tb(error.__traceback__)) if kind.code == "internal_error" else ""
        name = type(error).__name__
        request_id = g.get("request_id")
        log.error("%s %r: %s, request %s\n%s", request.method, request.path, name, request_id, frames)
    return answer_error(error)


def init_errors(app: Flask) -> None:
    app.register_error_handler(Exception, handle)
