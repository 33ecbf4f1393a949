"""A job in another API's words: its body to the same route of Ollama, the answer back as it comes."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from jobs.records import Outcome
from jobs.wire import WIRE_ROUTES, WireRoute, error_body, split_answer, wants_usage, whole_answer
from ollama_client.cancellation import Cancellation
from ollama_client.errors import GenerationAborted, OllamaError, OllamaTimeout, StreamError
from ollama_client.limits import Limits
from ollama_client.transport import OllamaTransport
from tasks.generation import Answer, make_outcome
from tasks.openai_answer import OpenAIAnswer

OnPiece = Callable[[str, str, str], None]


@dataclass(frozen=True)
class WireQuestion:
    """
    What to ask, and of which route.

    Attributes:
        is_live: Its client can't be sent pieces twice.
    """

    route: WireRoute
    body: dict[str, Any] = field(repr=False)
    is_streamed: bool
    is_live: bool
    job_id: str

    @classmethod
    def of(cls, job_id: str, model: str, given: Mapping[str, Any]) -> "WireQuestion | None":
        """The question in a job's input; None for a job of the Job API."""
        wire = given.get("wire")
        if wire is None:
            return None
        body = given["body"] if given["body"].get("model") else {**given["body"], "model": model}
        return cls(WIRE_ROUTES[wire["path"]], body, wire["is_streamed"], wire["is_live"], job_id)

    def with_body(self, body: dict[str, Any]) -> "WireQuestion":
        """The same with another body."""
        return replace(self, body=body)


@dataclass(frozen=True)
class WireOutcome:
    """
    What is stored, and what the client is still to be sent once it is.

    Attributes:
        whole: The answer in one piece, JSON; empty for one that was streamed.
        is_one_object: The answer is one JSON object although a stream was asked for.
    """

    outcome: Outcome
    whole: str
    tail: str = ""
    is_one_object: bool = False


def ask_wire(
    transport: OllamaTransport,
    question: WireQuestion,
    *,
    limits: Limits,
    cancellation: Cancellation | None = None,
    on_piece: OnPiece = lambda text, thinking, raw: None,
) -> WireOutcome:
    """
    Run one generation to its end. Ollama always streams, so that its silence is noticed.

    Args:
        on_piece: Called with the text, the thinking and the lines of each piece but the last.

    Raises:
        OllamaError: the generation's outcome; a GenerationAborted has the answer so far as its body.
    """
    call: dict[str, Any] = {
        "limits": limits,
        "cancellation": cancellation,
        "headers": {"X-Job-ID": question.job_id},
    }
    started = time.monotonic()
    if question.route.streams is None:
        whole = transport.request("POST", question.route.path, question.body, **call)
        return WireOutcome(_outcome(question.route, whole, whole, started), _dump(whole))
    if question.route.dialect == "openai":
        return _ask_openai(transport, question, call, on_piece, started)
    return _ask_ollama(transport, question, call, on_piece, started)


def _ask_ollama(
    transport: OllamaTransport,
    question: WireQuestion,
    call: dict[str, Any],
    on_piece: OnPiece,
    started: float,
) -> WireOutcome:
    kind = question.route.kind
    answer, last = Answer(kind), {}
    with transport.stream(question.route.path, question.body, **call) as stream:
        try:
            for chunk in stream:
                last = chunk
                text, thinking = answer.add(chunk)
                if stream.final is None:
                    on_piece(text, thinking, f"{stream.line.decode('utf-8', 'replace')}\n")
        except GenerationAborted as error:
            partial = whole_answer(question.route.path, answer.complete(last), answer.data())
            raise GenerationAborted(str(error), text=answer.text(), status=200, body=partial) from error
        whole = whole_answer(question.route.path, answer.complete(stream.final or {}), answer.data())
        end = "" if stream.is_one_object else "\n"
        tail = stream.line.decode("utf-8", "replace").rstrip("\n") + end
    outcome = _outcome(question.route, whole, whole, started)
    return WireOutcome(outcome, _dump(whole) if not question.is_streamed else "", tail, stream.is_one_object)


def _ask_openai(
    transport: OllamaTransport,
    question: WireQuestion,
    call: dict[str, Any],
    on_piece: OnPiece,
    started: float,
) -> WireOutcome:
    answer = OpenAIAnswer(question.route)
    has_usage = wants_usage(question.body)
    tail = ""
    with transport.stream_openai(question.route.path, question.body, **call) as stream:
        try:
            for chunk in stream:
                text, thinking = answer.add(chunk)
                raw = f"{stream.line.decode('utf-8', 'replace')}\n\n"
                choices = chunk.get("choices")
                if not choices and not has_usage:
                    continue  # the counts were our own wish
                if tail or not choices or choices[0].get("finish_reason"):
                    tail += raw  # the client learns of the end once it is stored
                else:
                    on_piece(text, thinking, raw)
        except GenerationAborted as error:
            partial = answer.whole()
            raise GenerationAborted(str(error), text=answer.text(), status=200, body=partial) from error
        tail += f"{stream.line.decode('utf-8', 'replace')}\n\n"
    whole = answer.whole()
    outcome = _outcome(question.route, whole, answer.figures(), started)
    return WireOutcome(outcome, _dump(whole) if not question.is_streamed else "", tail)


def _dump(whole: Mapping[str, Any]) -> str:
    return json.dumps(whole, separators=(",", ":"))


def _outcome(
    route: WireRoute, whole: Mapping[str, Any], figures: Mapping[str, Any], started: float
) -> Outcome:
    result, data = split_answer(route.path, whole)
    return make_outcome(figures, result, data, time.monotonic() - started)


def client_error(route: WireRoute, error: OllamaError) -> dict[str, Any]:
    """What the client is to get for an error: `status` and `body`."""
    if error.status is not None and isinstance(error.body, dict) and not isinstance(error, StreamError):
        return {"status": error.status, "body": error.body}
    status = 504 if isinstance(error, OllamaTimeout) else 500
    return {"status": status, "body": error_body(route.dialect, status, str(error))}
