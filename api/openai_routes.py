"""OpenAI's routes as its clients know them."""

from datetime import datetime
from typing import Any

from flask import Response
from flask_openapi import APIBlueprint
from pydantic import Field

from api.answers import dump
from api.dropin import answer
from api.installed import is_named, listed_models
from api.schemas import Parameters
from api.wire_documentation import MODEL, OPENAI, generates, wire_answers
from jobs.errors import InvalidRequest, ModelNotInstalled
from jobs.inventories import Entry
from jobs.model_names import normalise_model

_EXAMPLE = {"id": MODEL, "object": "model", "created": 1772366400, "owned_by": "library"}
blueprint = APIBlueprint("openai", __name__, url_prefix="/v1", abp_tags=[OPENAI])


class ModelPath(Parameters):
    name: str = Field(description="The model's name, slashes included.")


@blueprint.post("/chat/completions", **generates("/v1/chat/completions"))
def chat_completions() -> Response:
    """OpenAI's chat completions, through the queue."""
    return answer("/v1/chat/completions")


@blueprint.post("/completions", **generates("/v1/completions"))
def completions() -> Response:
    """OpenAI's text completions, through the queue."""
    return answer("/v1/completions")


@blueprint.post("/embeddings", **generates("/v1/embeddings"))
def embeddings() -> Response:
    """OpenAI's embeddings, through the queue."""
    return answer("/v1/embeddings")


@blueprint.get("/models", responses=wire_answers("openai", example={"object": "list", "data": [_EXAMPLE]}))
def models() -> Response:
    """The models of all workers that the caller may use."""
    found = [_model(entry, str(entry["name"])) for entry in listed_models()]
    return _respond({"object": "list", "data": found})


@blueprint.get("/models/<path:name>", responses=wire_answers("openai", 404, example=_EXAMPLE))
def model(path: ModelPath) -> Response:
    """One of them; its name comes back as it was asked for."""
    name = path.name.removesuffix("/")
    try:
        wanted = normalise_model(name)
    except InvalidRequest:
        raise ModelNotInstalled(name[:255], []) from None
    for entry in listed_models():
        if is_named(entry, wanted):
            return _respond(_model(entry, name))
    raise ModelNotInstalled(name, [])


def _model(entry: Entry, name: str) -> dict[str, Any]:
    owner, _, rest = name.rpartition("/")
    return {
        "id": name,
        "object": "model",
        "created": _seconds(str(entry.get("modified_at", ""))),
        "owned_by": owner.rpartition("/")[2] if rest and owner else "library",
    }


def _seconds(moment: str) -> int:
    try:
        return int(datetime.fromisoformat(moment).timestamp())
    except ValueError:
        return 0


def _respond(value: Any) -> Response:
    return Response(dump(value) + "\n", mimetype="application/json")
