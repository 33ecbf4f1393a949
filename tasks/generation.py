"""One generation: a job's input to Ollama, the answer back, piece by piece and as a whole."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jobs.records import Outcome
from jobs.results import without_data
from ollama_client.cancellation import Cancellation
from ollama_client.limits import Limits
from ollama_client.transport import OllamaTransport
from tasks.ollama_request import PATHS, ollama_body

NANOSECONDS = 1e9
OnPiece = Callable[[str, str], None]


@dataclass(frozen=True)
class Question:
    """What to ask of Ollama: the parts of a job that a generation needs."""

    kind: str
    model: str
    input: Mapping[str, Any] = field(repr=False)
    job_id: str | None = None


def ask(
    transport: OllamaTransport,
    question: Question,
    *,
    limits: Limits,
    cancellation: Cancellation | None = None,
    on_piece: OnPiece = lambda text, thinking: None,
) -> Outcome:
    """
    Run one generation to its end.

    Args:
        on_piece: Called with the text and the thinking of each piece as it arrives.

    Raises:
        OllamaError: the generation's outcome, told apart as the client does.
    """
    started = time.monotonic()
    path = PATHS[question.kind]
    body = ollama_body(question.kind, question.model, question.input)
    headers = {"X-Job-ID": question.job_id} if question.job_id else {}
    if question.kind == "embed":
        final = transport.request(
            "POST", path, body, limits=limits, cancellation=cancellation, headers=headers
        )
        embeddings = final["embeddings"]
        return make_outcome(final, without_data("embed", final), embeddings, time.monotonic() - started)
    answer = Answer(question.kind)
    with transport.stream(path, body, limits=limits, cancellation=cancellation, headers=headers) as stream:
        for chunk in stream:
            text, thinking = answer.add(chunk)
            if text or thinking:
                on_piece(text, thinking)
        whole = answer.complete(stream.final or {})
    result = without_data(question.kind, whole)
    return make_outcome(whole, result, answer.data(), time.monotonic() - started)


class Answer:
    """A streamed answer as it grows."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._text: list[str] = []
        self._thinking: list[str] = []
        self._logprobs: list[Any] = []
        self._message: dict[str, Any] = {"role": "assistant"}

    def add(self, chunk: Mapping[str, Any]) -> tuple[str, str]:
        """Take one piece; returns its text and its thinking."""
        part = chunk.get("message") or {} if self._kind == "chat" else chunk
        text = part.get("content" if self._kind == "chat" else "response") or ""
        thinking = part.get("thinking") or ""
        self._text.append(text)
        self._thinking.append(thinking)
        self._logprobs += chunk.get("logprobs") or []
        if self._kind == "chat":
            self._message["role"] = part.get("role") or self._message["role"]
            for name in ("tool_calls", "images"):
                if part.get(name):
                    self._message[name] = [*self._message.get(name, []), *part[name]]
        return text, thinking

    def text(self) -> str:
        """What has been written so far."""
        return "".join(self._text)

    def data(self) -> Any:
        """The text so far, or the message so far."""
        if self._kind != "chat":
            return self.text()
        thinking = "".join(self._thinking)
        said = {"content": self.text(), **({"thinking": thinking} if thinking else {})}
        return {"role": self._message["role"], **said, **self._message}

    def complete(self, final: Mapping[str, Any]) -> dict[str, Any]:
        """Ollama's last object with what the pieces before it held, as without streaming."""
        whole = dict(final)
        if self._kind == "generate" and any(self._thinking):
            whole["thinking"] = "".join(self._thinking)
        if self._logprobs:
            whole["logprobs"] = self._logprobs
        return whole


def make_outcome(
    figures: Mapping[str, Any], result: Mapping[str, Any], data: Any, processing_seconds: float
) -> Outcome:
    """
    What is stored of a finished generation.

    Args:
        figures: Ollama's counts and durations, as its final object has them.

    Source:
        Ollama docs/api.md: durations are nanoseconds; eval_count / eval_duration * 10^9 is tokens/s.
    """
    output_tokens, eval_duration_ns = figures.get("eval_count"), figures.get("eval_duration")
    speed = output_tokens / eval_duration_ns * NANOSECONDS if output_tokens and eval_duration_ns else None
    load_duration_ns = figures.get("load_duration")
    return Outcome(
        result=result,
        result_data=data,
        processing_seconds=processing_seconds,
        load_seconds=load_duration_ns / NANOSECONDS if load_duration_ns is not None else None,
        prompt_tokens=figures.get("prompt_eval_count"),
        output_tokens=output_tokens,
        tokens_per_second=speed,
    )


def figures_of(outcome: Outcome) -> dict[str, Any]:
    """The counts and times of an outcome, as a task's result names them."""
    return {
        "prompt_tokens": outcome.prompt_tokens,
        "output_tokens": outcome.output_tokens,
        "tokens_per_second": outcome.tokens_per_second,
        "load_seconds": outcome.load_seconds,
        "processing_time": outcome.processing_seconds,
    }
