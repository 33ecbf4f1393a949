"""One exchange with Ollama at a time, without retries: errors leave as `OllamaError`, nothing else does."""

import threading
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from ollama_client.answer import Answer
from ollama_client.call import Call
from ollama_client.cancellation import Cancellation
from ollama_client.limits import Clock, Limits, Timer
from ollama_client.openai_stream import OpenAIStream
from ollama_client.sending import Request, Sender, json_request
from ollama_client.stream import OllamaStream, check_done, parsed_object

_DEFAULT_LIMITS = Limits()


class OllamaTransport:
    """
    Calls to one Ollama. May be shared by threads; connections are kept alive.

    Args:
        base_url: With http or https, and a path prefix if there is one; `parse_host` makes
            one from a value in the style of OLLAMA_HOST.
        limits: For every call that brings none of its own.
        pool_size: Idle connections kept.
        verify: Whether TLS certificates are checked, or the path of a CA bundle.
        clock: Seconds, monotonic.

    Proxies and other settings in the environment are not looked at.
    """

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:11434",
        *,
        limits: Limits = _DEFAULT_LIMITS,
        pool_size: int = 10,
        verify: bool | str = True,
        clock: Clock = time.monotonic,
    ) -> None:
        self._sender = Sender(base_url, pool_size, verify)
        self.base_url = self._sender.base_url
        self.limits = limits
        self._clock = clock
        self._lock = threading.RLock()
        self._under_way: set[Call] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def stream(
        self,
        path: str,
        body: Mapping[str, Any],
        *,
        limits: Limits | None = None,
        cancellation: Cancellation | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> OllamaStream:
        """
        POST a generation, `"stream": true` forced; returns once Ollama begins to answer.

        Raises:
            OllamaError: Here for what fails before the first token, from the stream later.
        """
        return OllamaStream(
            self._open(json_request("POST", path, {**body, "stream": True}, headers), limits, cancellation)
        )

    def stream_openai(
        self,
        path: str,
        body: Mapping[str, Any],
        *,
        limits: Limits | None = None,
        cancellation: Cancellation | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> OpenAIStream:
        """
        The same for a generation of the /v1 routes, with its counts at the end.

        Raises:
            OllamaError: Here for what fails before the first token, from the stream later.
        """
        sent = {**body, "stream": True, "stream_options": {"include_usage": True}}
        return OpenAIStream(self._open(json_request("POST", path, sent, headers), limits, cancellation))

    def request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        limits: Limits | None = None,
        cancellation: Cancellation | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """
        The one JSON object that answers a request that does not stream.

        Until its first byte the first-token limit holds, then the one between tokens.

        Raises:
            GenerationAborted: It says `done: false`.
            OllamaError: It failed in any other way.
        """
        answer = self._open(json_request(method, path, body, headers), limits, cancellation)
        result = parsed_object(answer.read_all())
        check_done(result)
        return result

    def generate(
        self,
        model: str,
        prompt: str,
        *,
        limits: Limits | None = None,
        cancellation: Cancellation | None = None,
        **fields: Any,
    ) -> OllamaStream:
        """Stream /api/generate; `fields` go into the body (system, options, keep_alive, …)."""
        body = {"model": model, "prompt": prompt, **fields}
        return self.stream("/api/generate", body, limits=limits, cancellation=cancellation)

    def chat(
        self,
        model: str,
        messages: Sequence[Mapping[str, Any]],
        *,
        limits: Limits | None = None,
        cancellation: Cancellation | None = None,
        **fields: Any,
    ) -> OllamaStream:
        """Stream /api/chat; `fields` go into the body (tools, options, think, …)."""
        body = {"model": model, "messages": list(messages), **fields}
        return self.stream("/api/chat", body, limits=limits, cancellation=cancellation)

    def embed(
        self,
        model: str,
        texts: str | Sequence[str],
        *,
        limits: Limits | None = None,
        cancellation: Cancellation | None = None,
        **fields: Any,
    ) -> dict[str, Any]:
        """The answer of /api/embed: `embeddings`, one list of floats a text, and counts."""
        body = {"model": model, "input": texts if isinstance(texts, str) else list(texts), **fields}
        return self.request("POST", "/api/embed", body, limits=limits, cancellation=cancellation)

    def show(self, model: str, *, limits: Limits | None = None) -> dict[str, Any]:
        """What /api/show knows of a model: `capabilities`, `details`, `model_info`, …"""
        return self.request("POST", "/api/show", {"model": model}, limits=limits)

    def tags(self, *, limits: Limits | None = None) -> list[dict[str, Any]]:
        """The installed models: `name`, `size` (bytes), `details`, …"""
        return list(self.request("GET", "/api/tags", limits=limits).get("models") or [])

    def ps(self, *, limits: Limits | None = None) -> list[dict[str, Any]]:
        """The loaded models. One that is loading is not among them yet, a crashed one may be."""
        return list(self.request("GET", "/api/ps", limits=limits).get("models") or [])

    def version(self, *, limits: Limits | None = None) -> str:
        """Ollama's version."""
        return str(self.request("GET", "/api/version", limits=limits).get("version", ""))

    def abort(self) -> None:
        """
        Make every call that is under way on this transport raise `Aborted`, from any thread.

        Calls made later are not touched; to stop one whether or not it has begun, hand
        it a `Cancellation`.
        """
        with self._lock:
            calls = tuple(self._under_way)
        for call in calls:
            call.abort()

    def close(self) -> None:
        """Close the idle connections; those of calls under way close as the calls end."""
        self._sender.close()

    def _open(
        self,
        request: Request,
        limits: Limits | None,
        cancellation: Cancellation | None,
    ) -> Answer:
        call = Call(Timer(limits or self.limits, self._clock), cancellation, self._forget, self._sender.where)
        with self._lock:
            self._under_way.add(call)
        try:
            return Answer(self._sender.send(request, call), call)
        except BaseException:
            call.finish()
            raise

    def _forget(self, call: Call) -> None:
        with self._lock:
            self._under_way.discard(call)
