"""A streamed answer of the /v1 routes: server-sent events, up to `[DONE]`."""

from collections.abc import Iterator
from typing import Self

from ollama_client.answer import Answer
from ollama_client.errors import GenerationAborted, StreamError
from ollama_client.stream import Chunk, LineSplitter, parsed_object
from ollama_client.translation import error_text

_DATA = b"data:"
_END = b"[DONE]"


class OpenAIStream:
    """
    Iterator of the chunks, as parsed dicts.

    Attributes:
        line: The last chunk's event as it came, without its blank line; at the end, that of `[DONE]`.

    Raises:
        StreamError: Ollama reported an error after it had begun, or lost one: then a chunk has no model.
        GenerationAborted: Ollama ended without `[DONE]`.
        OllamaTimeout, ConnectionCut, Aborted, InvalidResponse: While iterating.
    """

    def __init__(self, answer: Answer) -> None:
        self.line = b""
        self._answer = answer
        self._lines: list[bytes] = []  # last first
        self._splitter = LineSplitter()
        self._begun = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._answer.close()

    def __iter__(self) -> Iterator[Chunk]:
        while (data := self._next()) != _END:
            chunk = parsed_object(data)
            if "error" in chunk:
                raise StreamError(error_text(chunk) or "", status=200, body=chunk)
            if chunk.get("model") == "":
                raise StreamError("an error was encountered while running the model", status=200)
            yield chunk
        self._answer.drain()

    def _next(self) -> bytes:
        """The data of the next event."""
        if self._begun:
            self._answer.continued()
        while True:
            while self._lines:
                self.line = self._lines.pop()
                if self.line.startswith(_DATA):
                    return self.line[len(_DATA) :].strip()
            data = self._answer.read()
            self._lines = (self._splitter.feed(data) if data else self._splitter.rest())[::-1]
            self._begun = self._begun or bool(self._lines)
            if not data and not self._lines:
                raise GenerationAborted(status=200)
