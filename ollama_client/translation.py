"""The one door at which the errors of the libraries beneath, and HTTP statuses, become ours."""

import http.client
import json
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import requests
import urllib3

from ollama_client.call import Call
from ollama_client.errors import (
    Aborted,
    BadRequest,
    ConnectionCut,
    InvalidResponse,
    ModelNotFound,
    OllamaBusy,
    OllamaError,
    OllamaUnavailable,
    ServerError,
)

_FOREIGN = (requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException, OSError)


@contextmanager
def translated(call: Call) -> Iterator[None]:
    """What fails inside leaves as an `OllamaError`."""
    try:
        yield
    except _FOREIGN as error:
        raise explain(error, call) from error


def explain(error: Exception, call: Call) -> OllamaError:
    """Which of our errors this is, in view of how far the call had come."""
    if call.aborted:
        return Aborted()
    causes = list(_causes(error))
    at = f"Ollama at {call.where}" if call.where else "Ollama"
    # Without errno it is our own limit; ETIMEDOUT is the network giving up.
    if any(isinstance(cause, TimeoutError) and cause.errno is None for cause in causes):
        return call.timer.expired()
    reason = _reason(causes)
    if not call.connected:
        return OllamaUnavailable(f"{at} is not reachable: {reason}")
    if any(_is_not_http(cause) for cause in causes):
        return InvalidResponse("The server did not answer in HTTP as Ollama does")
    return ConnectionCut(f"The connection to {at} was cut: {reason}")


def error_of_status(status: int, headers: Mapping[str, str], raw_body: bytes) -> OllamaError:
    """The error that an answer with this status (300 and above) stands for."""
    body = _parsed(raw_body)
    said = error_text(body)
    message = said or f"Ollama answered {status} {_phrase(status)}"
    kind: type[OllamaError]
    if status < 400:
        message = f"Ollama's address redirects ({status}) to {headers.get('Location', 'nowhere')}"
        kind = InvalidResponse
    elif status == HTTPStatus.SERVICE_UNAVAILABLE:
        kind = OllamaBusy
    elif status == HTTPStatus.BAD_GATEWAY and said is None:
        # A proxy in front of Ollama says so when nothing listens behind it.
        kind = OllamaUnavailable
    elif status >= 500:
        kind = ServerError
    elif status == HTTPStatus.NOT_FOUND and said is not None:
        kind = ModelNotFound  # an unknown path is 404 too, but in plain text
    else:
        kind = BadRequest
    return kind(message, status=status, body=body)


def error_text(body: Any) -> str | None:
    """Ollama's own words in an error body, `{"error": TEXT}` or `{"error": {"message": TEXT}}`."""
    error = body.get("error") if isinstance(body, dict) else None
    if isinstance(error, dict):
        error = error.get("message")
    return error if isinstance(error, str) else None


def _parsed(raw_body: bytes) -> Any:
    try:
        return json.loads(raw_body)
    except ValueError:
        return raw_body.decode("utf-8", "replace") or None


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and all that it wraps: requests wraps urllib3, which wraps http.client or socket."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        one = waiting.pop()
        if isinstance(one, BaseException) and id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += [*one.args, getattr(one, "reason", None), one.__cause__, one.__context__]


def _is_not_http(cause: BaseException) -> bool:
    if isinstance(cause, http.client.BadStatusLine):
        # Without its line end it is a status line cut short, not another protocol.
        return not isinstance(cause, ConnectionError) and str(cause.args[0] if cause.args else "").endswith(
            "\n"
        )
    return isinstance(cause, http.client.HTTPException) and not isinstance(cause, http.client.IncompleteRead)


def _reason(causes: list[BaseException]) -> str:
    """The most basic cause in few words; the libraries' own texts are long and repeat themselves."""
    for cause in reversed(causes):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not accepted: {cause.verify_message}"
        if isinstance(cause, http.client.RemoteDisconnected):
            return "closed before an answer"
        if isinstance(cause, socket.gaierror):
            return f"unknown host: {cause.strerror or cause}"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
    return "ended in the middle of an answer"
