"""What the double of Ollama answers."""

import hashlib
from collections.abc import Callable
from typing import Any

from jobs.records import Claimed, Failure, Outcome
from jobs.results import text_of

TOKENS_PER_SECOND = 100.0
VECTOR_LENGTH = 8

# Text (of a generation or a chat), a message (chat), vectors (embed), a failed attempt, or what
# makes one of these from the job.
Answer = str | dict[str, Any] | list[list[float]] | Failure | Callable[[Claimed], Any]


def default_answer(job: Claimed) -> Any:
    """The answer that nobody scripted: made from the question alone, so the same each time."""
    if job.kind == "embed":
        texts = job.input["input"]
        return [_vector(text) for text in ([texts] if isinstance(texts, str) else texts)]
    return f"{job.model} answers: {question_of(job)}"


def question_of(job: Claimed) -> str:
    """The prompt, or the last message's content."""
    return str(job.input["prompt"] if job.kind == "generate" else job.input["messages"][-1]["content"])


def make_outcome(job: Claimed, data: Any) -> Outcome:
    """
    A finished generation with this answer; a token is a word, and takes 10 ms.

    Raises:
        TypeError: a job of this kind has no such answer.
    """
    if job.kind == "chat" and isinstance(data, str):
        data = {"role": "assistant", "content": data}
    if not isinstance(data, {"generate": str, "chat": dict, "embed": list}[job.kind]):
        raise TypeError(f"{type(data).__name__} is no answer to a job of kind {job.kind}")
    asked = question_of(job) if job.kind != "embed" else str(job.input["input"])
    prompt_tokens, output_tokens = len(asked.split()), len(text_of(data).split())
    seconds = output_tokens / TOKENS_PER_SECOND
    result: dict[str, Any] = {"model": job.model, "prompt_eval_count": prompt_tokens}
    if job.kind != "embed":
        result |= {"done": True, "done_reason": "stop", "eval_count": output_tokens}
        result |= {"eval_duration": round(seconds * 1e9)}
    return Outcome(
        result=result,
        result_data=data,
        processing_seconds=seconds,
        load_seconds=0.0,
        prompt_tokens=prompt_tokens,
        output_tokens=output_tokens if job.kind != "embed" else None,
        tokens_per_second=TOKENS_PER_SECOND if output_tokens else None,
    )


def _vector(text: str) -> list[float]:
    return [byte / 255 for byte in hashlib.sha256(text.encode()).digest()[:VECTOR_LENGTH]]
