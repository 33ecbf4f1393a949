"""How /api/generate and /api/chat write their answers: keys, order and line breaks as recorded."""

from typing import Any, Protocol

from ollama_client.simulator import go_json
from ollama_client.simulator.go_json import timestamp
from ollama_client.simulator.plan import Piece
from ollama_client.simulator.result import Result

JSON = "application/json; charset=utf-8"
NDJSON = "application/x-ndjson"


class Reply(Protocol):
    """One route's way of writing an answer."""

    stream_type: str
    whole_type: str

    def lines(self, result: Result, pieces: list[Piece]) -> bytes:
        """A batch of tokens in a stream."""

    def calls(self, result: Result) -> bytes:
        """The tool calls in a stream."""

    def done(self, result: Result) -> bytes:
        """A stream's end."""

    def whole(self, result: Result) -> bytes:
        """The answer in one piece; without `done: true` if it was given up."""

    def failed(self, message: str, status: int) -> bytes:
        """An error in place of an answer."""

    def broken(self, message: str) -> bytes:
        """An error as a stream's last line."""


class _OllamaReply:
    stream_type = NDJSON
    whole_type = JSON

    def lines(self, result: Result, pieces: list[Piece]) -> bytes:
        return b"".join([self._line(result, [piece]) for piece in pieces])

    def calls(self, result: Result) -> bytes:
        return self._line(result, [])

    def failed(self, message: str, status: int) -> bytes:
        return go_json.encode({"error": message})

    def broken(self, message: str) -> bytes:
        return self.failed(message, 200) + b"\n"

    def done(self, result: Result) -> bytes:
        return go_json.encode(self._end(result, self._body(result, "", "", None))) + b"\n"

    def whole(self, result: Result) -> bytes:
        body = self._body(result, result.content, result.thinking, result.tool_calls)
        if not result.is_done:
            return go_json.encode({**body, "done": False})
        return go_json.encode(self._end(result, body, result.pieces))

    def _line(self, result: Result, pieces: list[Piece]) -> bytes:
        """One token; no token stands for the tool calls."""
        text, is_thinking = pieces[0] if pieces else ("", False)
        calls = None if pieces else result.tool_calls
        body = self._body(result, "" if is_thinking else text, text if is_thinking else "", calls)
        body["done"] = False
        if result.ask.top_logprobs is not None and pieces:
            body["logprobs"] = result.logprobs(pieces)
        return go_json.encode(body) + b"\n"

    def _body(self, result: Result, text: str, thinking: str, calls: list[Any] | None) -> dict[str, Any]:
        raise NotImplementedError

    def _end(self, result: Result, body: dict[str, Any], pieces: list[Piece] | None = None) -> dict[str, Any]:
        raise NotImplementedError


class GenerateReply(_OllamaReply):
    """/api/generate: the text under `response`, a context at the end."""

    def _body(self, result: Result, text: str, thinking: str, calls: list[Any] | None) -> dict[str, Any]:
        body = {"model": result.ask.name, "created_at": timestamp(), "response": text}
        if thinking:
            body["thinking"] = thinking
        return body

    def _end(self, result: Result, body: dict[str, Any], pieces: list[Piece] | None = None) -> dict[str, Any]:
        body |= {"done": True, "done_reason": result.done_reason}
        if not result.ask.raw:
            body["context"] = result.context()
        body |= result.figures()
        if result.ask.top_logprobs is not None and pieces:
            body["logprobs"] = result.logprobs(pieces)
        return body


class ChatReply(_OllamaReply):
    """/api/chat: a message."""

    def _body(self, result: Result, text: str, thinking: str, calls: list[Any] | None) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if thinking:
            message["thinking"] = thinking
        if calls:
            message["tool_calls"] = calls
        return {"model": result.ask.name, "created_at": timestamp(), "message": message}

    def _end(self, result: Result, body: dict[str, Any], pieces: list[Piece] | None = None) -> dict[str, Any]:
        body |= {"done": True, "done_reason": result.done_reason}
        if result.ask.top_logprobs is not None and pieces:
            body["logprobs"] = result.logprobs(pieces)
        return body | result.figures()
