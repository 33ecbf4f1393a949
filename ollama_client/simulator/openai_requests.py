"""Requests to the OpenAI routes, put into Ollama's own words."""

from typing import Any

from ollama_client.simulator.errors import Refusal
from ollama_client.simulator.validation import json_type

_OPTIONS = {
    "max_tokens": "num_predict",
    "max_completion_tokens": "num_predict",
    "temperature": "temperature",
    "top_p": "top_p",
    "seed": "seed",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
}


def as_chat(body: dict[str, Any]) -> dict[str, Any]:
    """A chat completion's fields as /api/chat has them."""
    chat = _common(body)
    chat["messages"] = [_message(message) for message in _list(body, "messages", "openai.Message")]
    if not chat["messages"]:
        raise Refusal(400, "[] is too short - 'messages'", from_runner=True)
    if body.get("tools"):
        chat["tools"] = _list(body, "tools", "api.Tool")
    chat["format"] = _format(body.get("response_format"))
    effort = body.get("reasoning_effort")
    if effort is not None:
        chat["think"] = effort != "none"
    return chat


def as_generate(body: dict[str, Any]) -> dict[str, Any]:
    """A text completion's fields as /api/generate has them."""
    prompt = body.get("prompt", "")
    if not isinstance(prompt, str):
        raise _wrong_type(prompt, "CompletionRequest.prompt", "string")
    return {**_common(body), "prompt": prompt, "suffix": body.get("suffix") or ""}


def wants_usage(body: dict[str, Any]) -> bool:
    """Whether a stream is to end with its counts."""
    options = body.get("stream_options")
    return isinstance(options, dict) and bool(options.get("include_usage"))


def _common(body: dict[str, Any]) -> dict[str, Any]:
    model = body.get("model")
    if not model:
        raise Refusal(400, "model is required")
    options = {ours: body[theirs] for theirs, ours in _OPTIONS.items() if body.get(theirs) is not None}
    stop = body.get("stop")
    if stop:
        options["stop"] = [stop] if isinstance(stop, str) else stop
    return {
        "model": str(model),
        "stream": bool(body.get("stream")),
        "options": options,
        "logprobs": bool(body.get("logprobs")),
        "top_logprobs": body.get("top_logprobs") or 0,
    }


def _message(message: Any) -> dict[str, Any]:
    """A message whose content, if it comes in parts, is one text and its images."""
    if not isinstance(message, dict):
        raise Refusal(400, "invalid message format", from_runner=True)
    content = message.get("content")
    if not isinstance(content, list):
        return message
    parts = [part for part in content if isinstance(part, dict)]
    texts = [part["text"] for part in parts if isinstance(part.get("text"), str)]
    images = [part["image_url"] for part in parts if part.get("type") == "image_url"]
    return {**message, "content": "".join(texts), "images": images}


def _format(wanted: Any) -> Any:
    if not isinstance(wanted, dict):
        return None
    if wanted.get("type") == "json_object":
        return "json"
    schema = wanted.get("json_schema")
    return schema.get("schema") if isinstance(schema, dict) else None


def asked_dimensions(body: dict[str, Any]) -> int | None:
    """
    How long an embedding is to be; None: as the model makes it.

    Raises:
        Refusal: 400: no number.
    """
    asked = body.get("dimensions")
    if asked is not None and not isinstance(asked, int):
        raise _wrong_type(asked, "EmbedRequest.dimensions", "int")
    return asked


def _list(body: dict[str, Any], field: str, of_type: str) -> list[Any]:
    value = body.get(field) or []
    if not isinstance(value, list):
        raise _wrong_type(value, f"ChatCompletionRequest.{field}", f"[]{of_type}")
    return value


def _wrong_type(value: object, field: str, of_type: str) -> Refusal:
    message = f"json: cannot unmarshal {json_type(value)} into Go struct field {field} of type {of_type}"
    return Refusal(400, message, from_runner=True)
