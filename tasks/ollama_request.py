"""A job's input as the request that Ollama gets."""

from collections.abc import Mapping
from typing import Any

PATHS = {"generate": "/api/generate", "chat": "/api/chat", "embed": "/api/embed"}
# keep_alive stays out: on a busy Ollama it makes every other model wait for its whole length.
_PASSED_ON = ("images", "tools", "format", "think", "options", "input")


def wanted_num_ctx(given: Mapping[str, Any]) -> int | None:
    """The context that a job's input asks for, in tokens; None where it says none, or nothing that is one."""
    options = given.get("options")
    wanted = options.get("num_ctx") if isinstance(options, Mapping) else None
    return wanted if isinstance(wanted, int) and wanted > 0 else None


def with_room(given: Mapping[str, Any], configured_num_ctx: int | None) -> dict[str, Any]:
    """
    The same input with `num_ctx` rounded up to the size that the model is loaded with anyway.

    Another size makes Ollama load the model anew, and again for the next request. A larger
    one than configured is what the caller needs, and stays.

    Args:
        configured_num_ctx: In tokens; None where not known.
    """
    wanted = wanted_num_ctx(given)
    if wanted is None or configured_num_ctx is None or wanted >= configured_num_ctx:
        return dict(given)
    return {**given, "options": {**given["options"], "num_ctx": configured_num_ctx}}


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
