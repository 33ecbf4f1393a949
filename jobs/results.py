"""
What came out of a job, in the three forms people ask for it.

Ollama's final object holds the text, message or embeddings itself. They are stored
once, as `result_data`, and put back where the whole object is asked for.
"""

from collections.abc import Mapping
from typing import Any

DATA_FIELD = {"generate": "response", "chat": "message", "embed": "embeddings"}


def without_data(kind: str, final: Mapping[str, Any]) -> dict[str, Any]:
    """Ollama's final object less what `result_data` holds."""
    return {name: value for name, value in final.items() if name != DATA_FIELD[kind]}


def with_data(kind: str, result: Mapping[str, Any], data: Any) -> dict[str, Any]:
    """Ollama's final object, whole."""
    return {**result, DATA_FIELD[kind]: data}


def text_of(data: Any) -> str:
    """The answer as text: a message's content; embeddings have none."""
    if isinstance(data, dict):
        return str(data.get("content") or "")
    return data if isinstance(data, str) else ""
