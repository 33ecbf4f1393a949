"""Ollama's own routes as its clients know them: those that generate, and those that tell."""

from flask import Response
from flask_openapi import APIBlueprint

from api.answers import dump
from api.auth import caller, open_to_all
from api.dropin import JSON, answer
from api.errors import NoWorker, WrongField
from api.installed import listed_models, loaded_models
from api.late import get_resources
from api.upstream import pass_on, worker_with
from api.wire_documentation import MODEL, OLLAMA, generates, passes_on, wire_answers
from api.wire_requests import read_object
from jobs.errors import InvalidRequest, ModelNotAllowed, ModelNotInstalled
from jobs.model_names import normalise_model

blueprint = APIBlueprint("ollama", __name__, url_prefix="/api", abp_tags=[OLLAMA])


@blueprint.post("/generate", **generates("/api/generate"))
def generate() -> Response:
    """Ollama's /api/generate, through the queue."""
    return answer("/api/generate")


@blueprint.post("/chat", **generates("/api/chat"))
def chat() -> Response:
    """Ollama's /api/chat, through the queue."""
    return answer("/api/chat")


@blueprint.post("/embed", **generates("/api/embed"))
def embed() -> Response:
    """Ollama's /api/embed, through the queue."""
    return answer("/api/embed")


@blueprint.post("/embeddings", **generates("/api/embeddings"))
def embeddings() -> Response:
    """Ollama's /api/embeddings, through the queue."""
    return answer("/api/embeddings")


@blueprint.post("/show", **passes_on({"model": MODEL}, names_worker=False))
def show() -> Response:
    """What an Ollama that has the model tells of it."""
    body = read_object("api.ShowRequest")
    given = body.get("model") or body.get("name")
    if not given:
        raise WrongField("model is required")
    try:
        name = normalise_model(str(given))
    except InvalidRequest:
        raise ModelNotInstalled(str(given)[:255], []) from None
    allowed = caller().limits.allowed_models
    if allowed is not None and name not in allowed:
        raise ModelNotAllowed(name, allowed)
    return pass_on(worker_with(name), dump(body).encode())


@blueprint.get("/tags", responses=wire_answers("ollama", example={"models": [{"name": MODEL}]}))
def tags() -> Response:
    """The models of all workers' Ollamas."""
    return _respond({"models": listed_models()})


@blueprint.get("/ps", responses=wire_answers("ollama", example={"models": [{"name": MODEL}]}))
def ps() -> Response:
    """The models that are loaded in any of them."""
    return _respond({"models": loaded_models()})


@blueprint.get("/version", responses=wire_answers("ollama", example={"version": "0.24.0"}))
@open_to_all
def version() -> Response:
    """The oldest version of all workers' Ollamas: what a client may count on."""
    found = [worker.ollama_version for worker in get_resources().catalog.workers() if worker.ollama_version]
    if not found:
        raise NoWorker
    return _respond({"version": min(found, key=_parts)})


def _parts(version_text: str) -> list[int]:
    numbers = version_text.partition("-")[0].split(".")
    return [int(number) if number.isdecimal() else 0 for number in numbers]


def _respond(value: object) -> Response:
    return Response(dump(value), content_type=JSON)
