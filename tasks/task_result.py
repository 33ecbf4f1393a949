"""What a task returns: a mapping that never shows itself in a log."""

from collections import UserDict
from collections.abc import Mapping
from typing import Any

from jobs.results import text_of


class TaskResult(UserDict[str, Any]):
    """
    `text`, `model`, counts and times, and the message or embeddings where there are any.

    Celery writes a task's result into its log and its events, and Flower shows them.
    Not a dict, since those it prints item by item; this prints as the model's name.
    """

    def __repr__(self) -> str:
        return f"<answer of {self.data.get('model')}>"

    def __json__(self) -> dict[str, Any]:
        return self.data


def make_result(
    *, job_id: str | None, kind: str, model: str, data: Any, figures: Mapping[str, Any]
) -> TaskResult:
    """
    The result of a completed job.

    Args:
        data: The text, the message or the embeddings.
        figures: prompt_tokens, output_tokens, tokens_per_second, load_seconds, processing_time.
    """
    result = TaskResult(job_id=job_id, text=text_of(data), model=model, **figures)
    if kind == "chat":
        result["message"] = data
    elif kind == "embed":
        result["embeddings"] = data
    return result


def as_text(value: Any) -> Any:
    """
    In a chain, the result of the job before stands for its text; anything else for itself.

    After a group, the results of all its jobs stand for their texts, a blank line between two.
    """
    if _is_result(value):
        return value["text"]
    if isinstance(value, list) and value and all(_is_result(item) for item in value):
        return "\n\n".join(item["text"] for item in value)
    return value


def _is_result(value: Any) -> bool:
    return isinstance(value, TaskResult) or (isinstance(value, dict) and {"text", "model"} <= value.keys())
