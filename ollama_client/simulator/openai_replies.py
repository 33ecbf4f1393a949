"""How /v1/chat/completions and /v1/completions write their answers, as recorded."""

import time
from typing import Any

from ollama_client.simulator import go_json
from ollama_client.simulator.plan import Piece
from ollama_client.simulator.result import Result

JSON = "application/json"
_FINGERPRINT = "fp_ollama"
_ERROR_TYPES = {400: "invalid_request_error", 404: "not_found_error"}


def error_body(message: str, status: int) -> bytes:
    """An error in OpenAI's shape, with the line break of Ollama's encoder."""
    kind = _ERROR_TYPES.get(status, "api_error")
    return go_json.encode({"error": {"message": message, "type": kind, "param": None, "code": None}}) + b"\n"


class _OpenAIReply:
    stream_type = "text/event-stream"
    whole_type = JSON

    def __init__(self, number: int, *, has_usage: bool) -> None:
        self._number = number
        self._has_usage = has_usage

    def failed(self, message: str, status: int) -> bytes:
        return error_body(message, status)

    def broken(self, _message: str) -> bytes:
        # Measured: the text of an error amid a stream is lost, and so is [DONE].
        return self._event(self._chunk("", self._part("", None)))

    def lines(self, result: Result, pieces: list[Piece]) -> bytes:
        return b"".join([self._piece(result, piece) for piece in pieces])

    def calls(self, result: Result) -> bytes:
        return b""

    def done(self, result: Result) -> bytes:
        finish = "tool_calls" if result.tool_calls else result.done_reason
        events = self._event(self._chunk(result.ask.name, self._part("", finish)))
        if self._has_usage:
            chunk = self._chunk(result.ask.name, None)
            events += self._event({**chunk, "usage": usage(result)})
        return events + b"data: [DONE]\n\n"

    def _piece(self, result: Result, piece: Piece) -> bytes:
        part = self._part(piece.text, None, is_thinking=piece.is_thinking)
        if result.ask.top_logprobs is not None:
            part["logprobs"] = {"content": result.logprobs([piece])}
        return self._event(self._chunk(result.ask.name, part))

    def _event(self, value: object) -> bytes:
        return b"data: " + go_json.encode(value) + b"\n\n"

    def _chunk(self, model: str, part: dict[str, Any] | None) -> dict[str, Any]:
        raise NotImplementedError

    def _part(self, text: str, finish: str | None, *, is_thinking: bool = False) -> dict[str, Any]:
        raise NotImplementedError


class OpenAIChatReply(_OpenAIReply):
    """/v1/chat/completions."""

    def calls(self, result: Result) -> bytes:
        delta = {"role": "assistant", "content": "", "tool_calls": _calls(result)}
        return self._event(self._chunk(result.ask.name, {"index": 0, "delta": delta, "finish_reason": None}))

    def whole(self, result: Result) -> bytes:
        message: dict[str, Any] = {"role": "assistant", "content": result.content}
        if result.thinking:
            message["reasoning"] = result.thinking
        finish = result.done_reason if result.is_done else None
        if result.tool_calls:
            message["tool_calls"] = _calls(result)
            finish = "tool_calls"
        choice = {"index": 0, "message": message, "finish_reason": finish}
        if result.ask.top_logprobs is not None:
            choice["logprobs"] = {"content": result.logprobs(result.pieces)}
        body = self._head("chat.completion", result.ask.name)
        return go_json.encode({**body, "choices": [choice], "usage": usage(result)}) + b"\n"

    def _head(self, kind: str, model: str) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-{self._number}",
            "object": kind,
            "created": int(time.time()),
            "model": model,
            "system_fingerprint": _FINGERPRINT,
        }

    def _chunk(self, model: str, part: dict[str, Any] | None) -> dict[str, Any]:
        return {**self._head("chat.completion.chunk", model), "choices": [part] if part else []}

    def _part(self, text: str, finish: str | None, *, is_thinking: bool = False) -> dict[str, Any]:
        delta = {"role": "assistant", "content": "" if is_thinking else text}
        if is_thinking:
            delta["reasoning"] = text
        return {"index": 0, "delta": delta, "finish_reason": finish}


class OpenAICompletionReply(_OpenAIReply):
    """/v1/completions."""

    def whole(self, result: Result) -> bytes:
        finish = result.done_reason if result.is_done else None
        body = {
            "id": f"cmpl-{self._number}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": result.ask.name,
            "system_fingerprint": _FINGERPRINT,
            "choices": [self._part(result.content, finish)],
            "usage": usage(result),
        }
        return go_json.encode(body) + b"\n"

    def _chunk(self, model: str, part: dict[str, Any] | None) -> dict[str, Any]:
        return {
            "id": f"cmpl-{self._number}",
            "object": "text_completion",
            "created": int(time.time()),
            "choices": [part] if part else [],
            "model": model,
            "system_fingerprint": _FINGERPRINT,
        }

    def _part(self, text: str, finish: str | None, *, is_thinking: bool = False) -> dict[str, Any]:
        return {"text": "" if is_thinking else text, "index": 0, "finish_reason": finish}


def usage(result: Result) -> dict[str, int]:
    """The tokens counted; an answer that was given up counts none."""
    prompt, answer = (result.prompt_tokens, result.tokens) if result.is_done else (0, 0)
    return {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer}


def _calls(result: Result) -> list[dict[str, Any]]:
    return [
        {
            "id": call["id"],
            "index": call["function"]["index"],
            "type": "function",
            "function": {
                "name": call["function"]["name"],
                "arguments": go_json.dumps(call["function"]["arguments"]),
            },
        }
        for call in result.tool_calls or ()
    ]
