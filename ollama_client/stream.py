"""A streamed answer: one JSON object a line, up to the one with `done: true`."""

import json
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

from ollama_client.answer import Answer
from ollama_client.errors import GenerationAborted, InvalidResponse, StreamError
from ollama_client.translation import error_text

# Longer than any line of Ollama's; an endless one would fill the memory.
MAX_LINE_BYTES = 64 * 1024 * 1024

Chunk = dict[str, Any]


class LineSplitter:
    """Cuts bytes that come in any portions into whole lines."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that this portion completes, without their ends; blank ones are left out."""
        searched = len(self._rest)
        self._rest += data
        end = self._rest.rfind(b"\n", searched)
        if end < 0:
            if len(self._rest) > MAX_LINE_BYTES:
                raise InvalidResponse(f"A line of more than {MAX_LINE_BYTES} bytes")
            return []
        whole = bytes(self._rest[:end])
        del self._rest[: end + 1]
        return [line for line in whole.split(b"\n") if line.strip()]

    def rest(self) -> list[bytes]:
        """At the end: the last line, if it had no line end."""
        line = bytes(self._rest)
        self._rest.clear()
        return [line] if line.strip() else []


class OllamaStream:
    """
    Iterator of the chunks of a generation, as parsed dicts; a context manager.

    Leaving it early closes the connection, which makes Ollama stop. An answer that is one
    JSON object (load and unload requests) is one chunk, and the final one.

    Attributes:
        final: The last chunk, with the counts and durations (nanoseconds); None until then.
        line: The last chunk as it came, without its line end.
        is_one_object: The answer is one JSON object.

    Raises:
        StreamError: Ollama reported an error after it had begun.
        GenerationAborted: Ollama ended without `done: true`; carries the text so far.
        OllamaTimeout, ConnectionCut, Aborted, InvalidResponse: While iterating.
    """

    def __init__(self, answer: Answer) -> None:
        self.final: Chunk | None = None
        self.line = b""
        self._answer = answer
        self.is_one_object = answer.content_type == "application/json"
        self._lines: list[bytes] = []  # last first
        self._splitter = LineSplitter()
        self._text: list[str] = []
        self._begun = False
        self._ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Chunk]:
        return self

    def __next__(self) -> Chunk:
        if self._ended:
            raise StopIteration
        try:
            return self._take(self._parsed_line())
        except BaseException:
            self.close()
            raise

    @property
    def text(self) -> str:
        """What has been generated so far: the text of all chunks handed out."""
        return "".join(self._text)

    def close(self) -> None:
        """Give the rest up. Closing twice is fine."""
        self._ended = True
        self._answer.close()

    def _parsed_line(self) -> Chunk:
        if self.is_one_object:
            self.line = self._answer.read_all()
            return parsed_object(self.line)
        if self._begun:
            # Only our waiting counts, not what the reader did since the last line.
            self._answer.continued()
        while not self._lines:
            data = self._answer.read()
            lines = self._splitter.feed(data) if data else self._splitter.rest()
            if lines:
                self._begun = True
                self._lines = lines[::-1]
            elif not data:
                raise GenerationAborted(text=self.text, status=200)
        self.line = self._lines.pop()
        return parsed_object(self.line)

    def _take(self, chunk: Chunk) -> Chunk:
        if "error" in chunk:
            raise StreamError(error_text(chunk) or "", status=200, body=chunk)
        self._text.append(text_of(chunk))
        if self.is_one_object:
            check_done(chunk)
        if self.is_one_object or chunk.get("done"):
            self.final = chunk
            self._ended = True
            self._answer.drain()
            self._answer.close()
        return chunk


def text_of(chunk: Chunk) -> str:
    """The text in a chunk or answer of /api/generate or /api/chat; empty where there is none."""
    message = chunk.get("message")
    text = message.get("content") if isinstance(message, dict) else chunk.get("response")
    return text if isinstance(text, str) else ""


def check_done(answer: Chunk) -> None:
    """Raise `GenerationAborted` for a complete answer that says `done: false`."""
    if answer.get("done") is False:
        raise GenerationAborted(text=text_of(answer), status=200, body=answer)


def parsed_object(raw: bytes) -> Chunk:
    """One JSON object; `InvalidResponse` for anything else (what it was is not quoted: it may be private)."""
    try:
        value = json.loads(raw.decode())  # of bytes it would guess the encoding first
    except ValueError as error:
        raise InvalidResponse("The answer is not JSON") from error
    if not isinstance(value, dict):
        raise InvalidResponse("The answer is not a JSON object")
    return value
