"""Installing and removing models: Ollama's own routes, for admins, passed on to one worker's Ollama."""

import re
import sys
from typing import Any

from flask import Response, request
from flask_openapi import APIBlueprint

from api.admin.blueprints import require_admin
from api.answers import dump
from api.errors import WrongField
from api.schemas import Parameters
from api.upstream import pass_on, until_reported, worker_named
from api.wire_documentation import FILE, MODEL, OLLAMA, passes_on, wire_answers
from api.wire_requests import read_object
from jobs.errors import InvalidRequest
from jobs.model_names import normalise_model
from jobs.workers import WorkerReport

WORKER_HEADER = "X-Paddock-Worker"
_NAMES = ("model", "name", "source", "destination", "from")
_DIGEST = re.compile(r"sha256[:-][0-9a-fA-F]{64}")
blueprint = APIBlueprint("model_administration", __name__, url_prefix="/api", abp_tags=[OLLAMA])
blueprint.before_request(require_admin)


class BlobPath(Parameters):
    digest: str


@blueprint.post("/pull", **passes_on({"model": MODEL}, is_streamed=True))
def pull() -> Response:
    """Install a model; the answer is its progress."""
    return _pass_on(is_known_then=True)


@blueprint.post("/push", **passes_on({"model": MODEL}, is_streamed=True))
def push() -> Response:
    """Publish a model; the answer is its progress."""
    return _pass_on()


@blueprint.post("/create", **passes_on({"model": "sky", "from": MODEL}, is_streamed=True))
def create() -> Response:
    """Make a model from another one or from files."""
    return _pass_on(is_known_then=True)


@blueprint.post("/copy", **passes_on({"source": MODEL, "destination": "ours"}))
def copy() -> Response:
    """Give a model another name."""
    return _pass_on(is_known_then=True)


@blueprint.delete("/delete", **passes_on({"model": "ours"}))
def delete() -> Response:
    """Remove a model."""
    return _pass_on()


@blueprint.route("/blobs/<digest>", methods=["HEAD"])
def has_blob(digest: str) -> Response:
    """Whether a file is there already."""
    _check_digest(digest)
    return pass_on(_worker_named(), b"")


@blueprint.post("/blobs/<digest>", request_body=FILE, responses=wire_answers("ollama", 400, 404, 502, ok=201))
def add_blob(path: BlobPath) -> Response:
    """Upload a file for `create`, of any size."""
    _check_digest(path.digest)
    request.max_content_length = sys.maxsize  # None would be the setting's
    return pass_on(_worker_named(), request.stream)


def _pass_on(*, is_known_then: bool = False) -> Response:
    """With `is_known_then`, the answer ends when requests may name the model."""
    body = read_object("api.Request")
    _check_names(body)
    then = until_reported if is_known_then else None
    return pass_on(_worker_named(), dump(body).encode(), then=then)


def _check_names(body: dict[str, Any]) -> None:
    """Ollama makes paths of names; what is none of a model's does not reach it from here."""
    for given in (body.get(field) for field in _NAMES):
        if isinstance(given, str) and given:
            try:
                normalise_model(given.partition("://")[2] or given)
            except InvalidRequest:
                raise WrongField("invalid model name") from None


def _check_digest(digest: str) -> None:
    if not _DIGEST.fullmatch(digest):
        raise WrongField("invalid digest format")


def _worker_named() -> WorkerReport:
    return worker_named(request.headers.get(WORKER_HEADER) or request.args.get("worker"))
