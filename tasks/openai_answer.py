"""The answer of an OpenAI route, put together from the chunks of its stream."""

from collections.abc import Mapping
from typing import Any

from jobs.wire import WireRoute

_SET_ONCE = ("role", "id", "type", "name", "finish_reason")
_NO_USAGE = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


class OpenAIAnswer:
    """A streamed completion as it grows. Fields that Paddock does not know are put together as well."""

    def __init__(self, route: WireRoute) -> None:
        self._is_chat = route.kind == "chat"
        self._head: dict[str, Any] = {}
        self._choice: dict[str, Any] = {"index": 0}
        self._usage: dict[str, Any] | None = None

    def add(self, chunk: Mapping[str, Any]) -> tuple[str, str]:
        """Take one chunk; returns its text and its thinking."""
        if not self._head:
            self._head = {name: value for name, value in chunk.items() if name not in ("choices", "usage")}
            self._head["object"] = "chat.completion" if self._is_chat else "text_completion"
        self._usage = chunk.get("usage") or self._usage
        choice = dict((chunk.get("choices") or [{}])[0])
        delta = choice.pop("delta", None)
        if delta is not None:
            choice = {"index": choice.pop("index", 0), "message": delta, **choice}
        _merge(self._choice, choice)
        return str((delta or choice).get("content" if self._is_chat else "text") or ""), str(
            (delta or {}).get("reasoning") or ""
        )

    def text(self) -> str:
        """What has been written so far."""
        part = self._choice.get("message") or {} if self._is_chat else self._choice
        return str(part.get("content" if self._is_chat else "text") or "")

    def whole(self) -> dict[str, Any]:
        """What the route answers without streaming."""
        return {**self._head, "choices": [self._choice], "usage": self._usage or _NO_USAGE}

    def figures(self) -> dict[str, Any]:
        """The counts, by Ollama's own names for them."""
        usage = self._usage or {}
        return {
            "prompt_eval_count": usage.get("prompt_tokens"),
            "eval_count": usage.get("completion_tokens"),
        }


def _merge(whole: dict[str, Any], part: Mapping[str, Any]) -> None:
    for name, value in part.items():
        known = whole.get(name)
        if isinstance(known, dict) and isinstance(value, dict):
            _merge(known, value)
        elif isinstance(known, list) and isinstance(value, list):
            known += value
        elif isinstance(known, str) and isinstance(value, str) and name not in _SET_ONCE:
            whole[name] = known + value
        elif value is not None or name not in whole:
            whole[name] = dict(value) if isinstance(value, dict) else value
