"""Ollama as the tasks and the worker see it: their transport, without a network."""

import json
from collections.abc import Callable, Iterator
from typing import Any, Self

Chunk = dict[str, Any]

FINAL: Chunk = {
    "model": "alpha",
    "response": "",
    "done": True,
    "done_reason": "stop",
    "load_duration": 250_000_000,
    "prompt_eval_count": 7,
    "eval_count": 2,
    "eval_duration": 500_000_000,
}


class FakeStream:
    """An answer piece by piece; an exception among the pieces is raised there."""

    def __init__(self, pieces: list[Chunk | Exception]) -> None:
        self._pieces = pieces
        self.final: Chunk | None = None
        self.line = b""
        self.is_one_object = False
        self.is_closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.is_closed = True

    def __iter__(self) -> Iterator[Chunk]:
        for piece in self._pieces:
            if isinstance(piece, Exception):
                raise piece
            if piece.get("done"):
                self.final = piece
            self.line = json.dumps(piece).encode()
            yield piece


class FakeOpenAIStream(FakeStream):
    """The same as server-sent events."""

    def __iter__(self) -> Iterator[Chunk]:
        for piece in super().__iter__():
            self.line = b"data: " + self.line
            yield piece
        self.line = b"data: [DONE]"


class FakeTransport:
    """
    Answers every call in the same way, and remembers the calls.

    Args:
        pieces: What streams.
        answers: What other paths answer: an object, an exception to raise, or a function of the body.
        on_call: Called before each answer.
    """

    def __init__(
        self,
        *pieces: Chunk | Exception,
        answers: dict[str, Any] | None = None,
        on_call: Callable[[], None] = lambda: None,
    ) -> None:
        self.pieces = list(pieces) or [{"response": "It "}, {"response": "scatters."}, FINAL]
        self.answers = answers or {}
        self.on_call = on_call
        self.calls: list[dict[str, Any]] = []
        self.is_closed = False

    def stream(self, path: str, body: Any, **given: Any) -> FakeStream:
        self.calls.append({"path": path, "body": body, **given})
        self.on_call()
        if isinstance(self.pieces[0], Exception):
            raise self.pieces[0]
        return FakeStream(self.pieces)

    def stream_openai(self, path: str, body: Any, **given: Any) -> FakeStream:
        self.stream(path, body, **given)
        return FakeOpenAIStream(self.pieces)

    def request(self, method: str, path: str, body: Any = None, **given: Any) -> Any:
        self.calls.append({"path": path, "body": body, "method": method, **given})
        self.on_call()
        answer = self.answers[path]
        if isinstance(answer, Exception):
            raise answer
        return answer(body) if callable(answer) else answer

    def version(self) -> str:
        return str(self.request("GET", "/api/version")["version"])

    def tags(self) -> list[Any]:
        return list(self.request("GET", "/api/tags")["models"])

    def ps(self) -> list[Any]:
        return list(self.request("GET", "/api/ps")["models"])

    def show(self, model: str) -> Any:
        return self.request("POST", "/api/show", {"model": model})

    def close(self) -> None:
        self.is_closed = True
