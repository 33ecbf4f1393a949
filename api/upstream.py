"""Asking a worker's Ollama directly, for what is no generation: nothing of it goes through the queue."""

import socket
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import requests
from flask import Response, request

from api.errors import NoWorker, OllamaNotReached, UnknownWorker
from api.late import get_resources
from jobs.catalog import ModelCatalog
from jobs.errors import ModelNotInstalled
from jobs.workers import WorkerReport
from setting_values import is_loopback

CONNECT_SECONDS = 5.0
SILENCE_SECONDS = 300.0
REPORT_SECONDS = 5.0  # a worker that takes longer is not waited for
_REPORTS = 2  # the first one may have been on its way
_LOOK_SECONDS = 0.2
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


def pass_on(
    worker: WorkerReport, body: Any, *, then: Callable[[WorkerReport, ModelCatalog], None] | None = None
) -> Response:
    """
    This request to the same route of the worker's Ollama, and its answer as it comes.

    Args:
        body: Bytes, or a stream of them.
        then: Done before the answer ends, if it is a good one.

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
    catalog = get_resources().catalog
    end = partial(then, worker, catalog) if then is not None and answered.ok else lambda: None
    response = Response(_pieces(answered, end), status=answered.status_code)
    response.headers["X-Accel-Buffering"] = "no"
    for name in _PASSED_ON:
        if name in answered.headers:
            response.headers[name] = answered.headers[name]
    response.call_on_close(answered.close)
    return response


def until_reported(worker: WorkerReport, catalog: ModelCatalog) -> None:
    """Wait until the worker has looked at its Ollama once more, so that a new model can be named at once."""
    seen: set[float] = set()
    ends_at = time.monotonic() + REPORT_SECONDS
    while time.monotonic() < ends_at and len(seen) <= _REPORTS:
        catalog.look_again()
        seen |= {found.reported_at for found in catalog.workers() if found.name == worker.name}
        time.sleep(_LOOK_SECONDS)


def _pieces(answered: requests.Response, end: Callable[[], None]) -> Iterator[bytes]:
    """As they come, and no later: progress is what they are."""
    yield from answered.iter_content(chunk_size=None)
    end()


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
