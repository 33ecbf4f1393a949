"""
Ollama's and OpenAI's own routes in the OpenAPI document: what Paddock reads of them, and adds.

Everything else of a body is Ollama's, and its documentation's.
"""

from typing import Any

from flask_openapi import Tag
from flask_openapi.models import ExternalDocumentation
from pydantic import TypeAdapter

from api.schemas import JobAnswer
from jobs.requests import Priority
from jobs.wire import WIRE_ROUTES, Dialect, error_body

MODEL = "llama3.1:8b"
# As docs/api.md has them.
DIFFERENCES = """\
- A request that names no model is answered by the active one; Ollama refuses it. An unknown model is 404 in Ollama's words.
- What a full Ollama would refuse with 503 waits in the queue.
- Before the first piece is sent a failed attempt is made again, as with any job. Afterwards an error is the stream's last
  line, also where Ollama itself loses it (`/v1`).
- A stream that has had nothing to send for 15 seconds is kept open with white space (`/v1`: comments), and then its status
  is 200 whatever comes. An answer in one piece keeps its status.
- `keep_alive` is passed on while nothing else runs on that Ollama or waits: on a busy one it would make every other model
  wait for its whole length.
- `num_predict` and `max_tokens` of 0 are refused: with them Ollama never ends.
- Errors are in Ollama's or OpenAI's own shape: 400 where other routes answer 422. OpenAI's `code` is that of our problems.
- Any other route of Ollama's is closed: 404.
"""  # noqa: E501 - the lines are the document's
OLLAMA = Tag(
    name="Ollama",
    description="Ollama's own routes: each request that generates is a job.\n\nWhat differs from Ollama:\n\n"
    + DIFFERENCES,
    externalDocs=ExternalDocumentation(url="https://docs.ollama.com/api"),
)
OPENAI = Tag(
    name="OpenAI",
    description="OpenAI's own routes, as far as Ollama has them: each request that generates is a job. "
    "What differs from Ollama is the same as with its own routes.",
    externalDocs=ExternalDocumentation(url="https://docs.ollama.com/api/openai-compatibility"),
)
JSON, NDJSON, EVENTS = "application/json", "application/x-ndjson", "text/event-stream"
FILE = {"required": True, "content": {"application/octet-stream": {"example": "weights"}}}
_STREAMED: dict[Dialect, str] = {"ollama": NDJSON, "openai": EVENTS}
_PIECES = {
    NDJSON: '{"model":"llama3.1:8b","response":"Air","done":false}\n',
    EVENTS: 'data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"Air"}}]}\n\n',
}
_ERRORS = {
    400: "The request can't be a job, or Ollama refuses it.",
    401: "A valid API key is required.",
    403: "The key may not use this model, or this route.",
    404: "No Ollama has this model, or there is no such worker.",
    413: "The body is too large.",
    429: "Too many of the key's jobs are pending, or it submits too fast; see `Retry-After`.",
    499: "The job was cancelled or expired.",
    500: "Every attempt failed, or something went wrong inside.",
    502: "The worker's Ollama can't be reached.",
    503: "The queue is full, no worker is alive, or the database can't be reached; see `Retry-After`.",
    504: "Ollama did not answer in time.",
}
_ALWAYS = (401, 403, 500, 503)
_TEXT = {"type": "string"}
_MESSAGES = [{"role": "user", "content": "Why is the sky blue?"}]
_TEXT_ANSWER = "Air scatters blue light more than red."
_MESSAGE = {"role": "assistant", "content": _TEXT_ANSWER}
_CHOICE = {"index": 0, "finish_reason": "stop"}
_VECTOR = [0.12, -0.08, 0.31]
# By path: the example of a request, and of its answer.
_GENERATING: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "/api/generate": (
        {"prompt": "Why is the sky blue?"},
        {"model": MODEL, "response": _TEXT_ANSWER, "done": True, "eval_count": 9},
    ),
    "/api/chat": (
        {"messages": _MESSAGES},
        {"model": MODEL, "message": _MESSAGE, "done": True, "eval_count": 9},
    ),
    "/api/embed": ({"input": ["one"]}, {"model": MODEL, "embeddings": [_VECTOR]}),
    "/api/embeddings": ({"prompt": "one"}, {"embedding": _VECTOR}),
    "/v1/chat/completions": (
        {"messages": _MESSAGES},
        {"object": "chat.completion", "model": MODEL, "choices": [{**_CHOICE, "message": _MESSAGE}]},
    ),
    "/v1/completions": (
        {"prompt": "The sky is", "max_tokens": 16},
        {"object": "text_completion", "model": MODEL, "choices": [{**_CHOICE, "text": " blue."}]},
    ),
    "/v1/embeddings": (
        {"input": ["one"]},
        {"object": "list", "model": MODEL, "data": [{"index": 0, "embedding": _VECTOR}]},
    ),
}


def generates(path: str) -> dict[str, Any]:
    """What the document says of one of WIRE_ROUTES: the arguments of its decorator."""
    route = WIRE_ROUTES[path]
    asked, answer = _GENERATING[path]
    properties: dict[str, Any] = {"model": {"description": "Unset: the active one.", **_or_null("string")}}
    streamed: tuple[str, ...] = ()
    if route.streams is not None:
        properties["stream"] = {"default": route.streams, **_or_null("boolean")}
        streamed = (_STREAMED[route.dialect],)
    answered = wire_answers(route.dialect, 400, 404, 413, 429, 499, 504, example=answer, streamed=streamed)
    answered[200]["headers"] = {"X-Job-ID": {"description": "The job's id.", "schema": _TEXT}}
    return {
        "request_body": _object({"model": MODEL, **asked}, properties),
        "openapi_extensions": {"parameters": _HEADERS},
        "responses": answered | {202: JobAnswer},
    }


def passes_on(
    example: dict[str, Any], *, is_streamed: bool = False, names_worker: bool = True
) -> dict[str, Any]:
    """What the document says of a route that one worker's Ollama answers itself."""
    streamed = (NDJSON,) if is_streamed else ()
    return {
        "request_body": _object(example, {}),
        "openapi_extensions": {"parameters": [_WORKER]} if names_worker else {},
        "responses": wire_answers("ollama", 400, 404, 413, 502, streamed=streamed),
    }


def wire_answers(
    dialect: Dialect,
    *errors: int,
    example: dict[str, Any] | None = None,
    streamed: tuple[str, ...] = (),
    ok: int = 200,
) -> Any:
    """The `responses` of a route that answers in Ollama's or OpenAI's words."""
    good: dict[str, Any] = {JSON: {"schema": {"type": "object"}, "example": example or {}}}
    good |= {media_type: {"example": _PIECES[media_type]} for media_type in streamed}
    found: dict[int, Any] = {ok: {"description": "As Ollama answers it.", "content": good}}
    for status in (*_ALWAYS, *errors):
        example = error_body(dialect, status, _ERRORS[status])
        content = {JSON: {"schema": _error_schema(dialect), "example": example}}
        found[status] = {"description": _ERRORS[status], "content": content}
    return found


def _object(example: dict[str, Any], properties: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "additionalProperties": True}
    return {"required": True, "content": {JSON: {"schema": schema, "example": example}}}


def _or_null(kind: str) -> dict[str, Any]:
    return {"anyOf": [{"type": kind}, {"type": "null"}]}


def _error_schema(dialect: Dialect) -> dict[str, Any]:
    if dialect == "ollama":
        return {"type": "object", "properties": {"error": _TEXT}, "required": ["error"]}
    properties = {"message": _TEXT, "type": _TEXT, "param": _or_null("string"), "code": _or_null("string")}
    error = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "object", "properties": {"error": error}, "required": ["error"]}


def _header(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "description": description, "schema": schema}


_WORKER = _header("X-Paddock-Worker", "Which worker's Ollama; needed where there are several.", _TEXT)
_HEADERS = [
    _header(
        "X-Priority",
        "Lowered to the key's ceiling; the answer's X-Priority says what it got.",
        TypeAdapter(Priority).json_schema(),
    ),
    _header(
        "X-On-Disconnect",
        "What becomes of the job when its client goes away.",
        {"type": "string", "enum": ["cancel", "continue"]},
    ),
    _header("Prefer", "`respond-async` answers 202 at once with the job.", _TEXT),
    _header("Idempotency-Key", "The same value and body is the same job again.", _TEXT),
]
