"""One request of the client: its attempts, its time, and its outcome as a value."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ollama_client.errors import GenerationAborted, OllamaError
from ollama_client.limits import Clock
from ollama_client.retry import RetryPolicy
from ollama_client.stream import Chunk, text_of
from ollama_client.transport import OllamaTransport
from ollama_client.types import Result


@dataclass
class Asked:
    """
    The outcome of a request.

    Attributes:
        answer: What the successful attempt returned, else None.
        text: Generated text; of an aborted generation what came until then.
    """

    answer: dict[str, Any] | None = None
    text: str = ""
    tokens: int = 0
    model: str | None = None
    attempts: int = 0
    seconds: float = 0.0
    error: str | None = None
    error_code: str | None = None

    def result(self) -> Result:
        """The part of the answer that all calls share."""
        result: Result = {
            "success": self.error is None,
            "response_time": self.seconds,
            "attempts": self.attempts,
            "model": self.model,
            "tokens": self.tokens,
        }
        if self.error is not None:
            result["error"] = self.error
            result["error_code"] = self.error_code or "ollama_error"
        return result


def refused(error: ValueError) -> Asked:
    """The outcome of a request whose arguments are wrong."""
    return Asked(error=str(error), error_code="invalid_argument")


def ask(
    policy: RetryPolicy,
    choose: Callable[[], str],
    attempt: Callable[[str], dict[str, Any]],
    clock: Clock = time.monotonic,
) -> Asked:
    """
    Run the attempts of one request; never raises an `OllamaError`.

    Args:
        policy: How often and after how long.
        choose: The model's name; asked in each attempt, for it may need Ollama.
        attempt: One attempt with that model.
    """
    asked = Asked()
    started = clock()

    def once() -> dict[str, Any]:
        asked.model = choose()
        return attempt(asked.model)

    def count(number: int) -> None:
        asked.attempts = number

    try:
        asked.answer = policy.run(once, count)
        asked.text = asked.answer.get("text", "")
        asked.tokens = asked.answer.get("tokens", 0)
    except OllamaError as error:
        asked.error, asked.error_code = described(error, asked.attempts), error.code
        if isinstance(error, GenerationAborted):
            asked.text = error.text
    asked.seconds = clock() - started
    return asked


def described(error: OllamaError, attempts: int) -> str:
    """What went wrong and its remedy, for a person."""
    message = str(error).rstrip(".")
    if attempts > 1:
        message = f"All {attempts} attempts failed, the last: {message}"
    return f"{message}. {error.remedy}"


def generated(transport: OllamaTransport, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """One generation to its end: `text`, `message`, `tokens`."""
    with transport.stream(path, body) as stream:
        chunks = list(stream)
    final = stream.final or {}
    return {
        "text": stream.text,
        "message": joined_message(chunks),
        "tokens": int(final.get("eval_count") or 0),
    }


def embedded(transport: OllamaTransport, body: Mapping[str, Any]) -> dict[str, Any]:
    """One embedding call: `embeddings`, `tokens`."""
    answer = transport.request("POST", "/api/embed", body)
    return {
        "embeddings": answer.get("embeddings") or [],
        "tokens": int(answer.get("prompt_eval_count") or 0),
    }


def joined_message(chunks: list[Chunk]) -> dict[str, Any]:
    """The message that the chunks of /api/chat are pieces of."""
    message: dict[str, Any] = {"role": "assistant", "content": "".join(map(text_of, chunks))}
    pieces = [piece for chunk in chunks if isinstance(piece := chunk.get("message"), dict)]
    if thinking := "".join(piece.get("thinking") or "" for piece in pieces):
        message["thinking"] = thinking
    if calls := [call for piece in pieces for call in piece.get("tool_calls") or ()]:
        message["tool_calls"] = calls
    return message
