"""A job's input as the request that Ollama gets."""

from collections.abc import Mapping
from typing import Any

PATHS = {"generate": "/api/generate", "chat": "/api/chat", "embed": "/api/embed"}
# keep_alive stays out: on a busy Ollama it makes every other model wait for its whole length.
_PASSED_ON = ("images", "tools", "format", "think", "options", "input")


def ollama_body(kind: str, model: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """
    The JSON body for `PATHS[kind]`.

    Args:
        given: `GenerationInput.generation_input()`.
    """
    body = {"model": model, **{name: given[name] for name in _PASSED_ON if name in given}}
    if kind == "generate":
        body["prompt"] = given["prompt"]
        if "system" in given:
            body["system"] = given["system"]
    elif kind == "chat":
        system = [{"role": "system", "content": given["system"]}] if "system" in given else []
        body["messages"] = [*system, *given["messages"]]
    return body
