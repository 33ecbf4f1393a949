"""Asking a worker's Ollama directly, for what is no generation: nothing of it goes through the queue."""

import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import requests
from flask import Response, request

from api.errors import NoWorker, OllamaNotReached, UnknownWorker
from api.late import get_resources
from jobs.errors import ModelNotInstalled
from jobs.workers import WorkerReport
from setting_values import is_loopback

CONNECT_SECONDS = 5.0
SILENCE_SECONDS = 300.0
_PASSED_ON = ("Content-Type",)


def worker_with(model: str) -> WorkerReport:
    """
    A live worker whose Ollama has a (normalised) model.

    Raises:
        NoWorker: none is alive. ModelNotInstalled: none of them has it.
    """
    workers = _live_workers()
    for worker in sorted(workers, key=lambda worker: not worker.ollama_healthy):
        if any(found.name == model for found in worker.models):
            return worker
    raise ModelNotInstalled(model, sorted({found.name for worker in workers for found in worker.models}))


def worker_named(name: str | None) -> WorkerReport:
    """
    The live worker of this name; without a name, the only one.

    Raises:
        NoWorker: none is alive. UnknownWorker: none has the name, or there are several.
    """
    workers = _live_workers()
    if name is None and len(workers) == 1:
        return workers[0]
    for worker in workers:
        if worker.name == name:
            return worker
    names = ", ".join(worker.name for worker in workers)
    said = "Name the worker in X-Paddock-Worker" if name is None else "No live worker has this name"
    raise UnknownWorker(f"{said}; there are: {names}.")


def pass_on(worker: WorkerReport, body: Any) -> Response:
    """
    This request to the same route of the worker's Ollama, and its answer as it comes.

    Args:
        body: Bytes, or a stream of them.

    Raises:
        OllamaNotReached: there is no answer.
    """
    _check_reachable(worker)
    headers = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
    try:
        answered = requests.request(
            request.method,
            worker.ollama_url.rstrip("/") + request.path.rstrip("/"),
            data=body,
            headers=headers,
            stream=True,
            allow_redirects=False,
            timeout=(CONNECT_SECONDS, SILENCE_SECONDS),
        )
    except requests.RequestException as error:
        raise OllamaNotReached(_unreachable(worker, type(error).__name__)) from None
    response = Response(_pieces(answered), status=answered.status_code)
    response.headers["X-Accel-Buffering"] = "no"
    for name in _PASSED_ON:
        if name in answered.headers:
            response.headers[name] = answered.headers[name]
    response.call_on_close(answered.close)
    return response


def _pieces(answered: requests.Response) -> Iterator[bytes]:
    """As they come, and no later: progress is what they are."""
    yield from answered.iter_content(chunk_size=None)


def _live_workers() -> list[WorkerReport]:
    workers = get_resources().catalog.workers()
    if not workers:
        raise NoWorker
    return workers


def _check_reachable(worker: WorkerReport) -> None:
    """An address that means "this machine" means another one over there."""
    host = urlsplit(worker.ollama_url).hostname or ""
    if is_loopback(host) and worker.host != socket.gethostname():
        raise OllamaNotReached(_unreachable(worker, "it listens on its own machine alone"))


def _unreachable(worker: WorkerReport, reason: str) -> str:
    return f"The Ollama of {worker.name} can't be reached from here: {reason}."
