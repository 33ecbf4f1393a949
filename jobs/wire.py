"""
Requests in the words of Ollama's and OpenAI's own routes.

Paddock reads of such a body what it needs to queue it; the rest goes to the same
route of an Ollama as it came. A job of this kind is a job like any other: its
result is kept as `jobs.results` has it, and put into the route's words again here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from jobs.requests import Kind, ModelName, Priority
from jobs.results import with_data
from jobs.scheduling import DEFAULT_PRIORITY

Dialect = Literal["ollama", "openai"]


@dataclass(frozen=True)
class WireRoute:
    """
    A route of Ollama's that generates.

    Attributes:
        go_type: What Ollama's own errors call its body.
        streams: Whether it streams when the body does not say; None: it never does.
    """

    path: str
    dialect: Dialect
    kind: Kind
    go_type: str
    streams: bool | None


WIRE_ROUTES = {
    route.path: route
    for route in (
        WireRoute("/api/generate", "ollama", "generate", "api.GenerateRequest", True),
        WireRoute("/api/chat", "ollama", "chat", "api.ChatRequest", True),
        WireRoute("/api/embed", "ollama", "embed", "api.EmbedRequest", None),
        WireRoute("/api/embeddings", "ollama", "embed", "api.EmbeddingRequest", None),
        WireRoute("/v1/chat/completions", "openai", "chat", "openai.ChatCompletionRequest", False),
        WireRoute("/v1/completions", "openai", "generate", "openai.CompletionRequest", False),
        WireRoute("/v1/embeddings", "openai", "embed", "openai.EmbedRequest", None),
    )
}


class WireRequest(BaseModel):
    """
    A request to one of WIRE_ROUTES, to be queued.

    Attributes:
        is_streamed: Its client gets pieces as they come.
        is_live: Nobody else waits for it than its client, who can't be sent pieces twice:
            once it has some, the run is the job's last.
    """

    model_config = ConfigDict(frozen=True)

    path: str
    body: dict[str, Any] = Field(repr=False)
    is_streamed: bool = False
    is_live: bool = False
    model: ModelName | None = None
    priority: Priority = DEFAULT_PRIORITY

    @property
    def route(self) -> WireRoute:
        return WIRE_ROUTES[self.path]

    @property
    def resolved_kind(self) -> Kind:
        return self.route.kind

    @property
    def metadata(self) -> dict[str, str]:
        return {}

    @property
    def deadline_seconds(self) -> float | None:
        return None

    @property
    def timeout_seconds(self) -> float | None:
        return None

    def generation_input(self) -> dict[str, Any]:
        """What is kept of it."""
        wire = {"path": self.path, "is_streamed": self.is_streamed, "is_live": self.is_live}
        return {"wire": wire, "body": self.body}


def wants_usage(body: Mapping[str, Any]) -> bool:
    """Whether an OpenAI stream is to end with its counts."""
    options = body.get("stream_options")
    return isinstance(options, dict) and bool(options.get("include_usage"))


def whole_answer(path: str, result: Mapping[str, Any], data: Any) -> dict[str, Any]:
    """
    A completed job's answer as its route gives it in one piece.

    Args:
        result, data: As `split_answer` has divided it.
    """
    if path == "/api/embeddings":
        return {**result, "embedding": data[0]}
    if path == "/v1/embeddings":
        found = [
            {"object": "embedding", "embedding": embedding, "index": index}
            for index, embedding in enumerate(data)
        ]
        return {**result, "data": found}
    if WIRE_ROUTES[path].dialect == "ollama":
        return with_data(WIRE_ROUTES[path].kind, result, data)
    first, *more = result.get("choices") or [{}]
    field = "message" if WIRE_ROUTES[path].kind == "chat" else "text"
    return {**result, "choices": [{**first, field: data}, *more]}


def split_answer(path: str, whole: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
    """
    The two parts in which an answer is stored: what is about it, and the text, message or embeddings.

    A null keeps the second one's place in the first.
    """
    route = WIRE_ROUTES[path]
    if path == "/api/embeddings":
        return _emptied(whole, "embedding"), [whole.get("embedding")]
    if path == "/v1/embeddings":
        return _emptied(whole, "data"), [item["embedding"] for item in whole.get("data") or ()]
    if route.dialect == "openai":
        field = "message" if route.kind == "chat" else "text"
        first, *more = whole.get("choices") or [{}]
        return {**whole, "choices": [_emptied(first, field), *more]}, first.get(field)
    field = {"generate": "response", "chat": "message", "embed": "embeddings"}[route.kind]
    return _emptied(whole, field), whole.get(field)


def _emptied(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {**values, name: None}


_OPENAI_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    413: "invalid_request_error",
    429: "rate_limit_error",
}


def error_body(dialect: Dialect, status: int, message: str, code: str | None = None) -> dict[str, Any]:
    """An error as the clients of this dialect read it."""
    if dialect == "ollama":
        return {"error": message}
    kind = _OPENAI_TYPES.get(status, "api_error")
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}
