"""One exchange with Ollama at a time, without retries: errors leave as `OllamaError`, nothing else does."""

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import requests

from ollama_client.answer import Answer
from ollama_client.call import Call, current_call
from ollama_client.cancellation import Cancellation
from ollama_client.connection import CallAdapter
from ollama_client.errors import ConnectionCut
from ollama_client.limits import Clock, Limits, Timer
from ollama_client.stream import OllamaStream, check_done, parsed_object
from ollama_client.translation import translated

_DEFAULT_LIMITS = Limits()
_HEADERS = {
    "Accept": "application/x-ndjson, application/json",
    "Accept-Encoding": "identity",  # a compressing proxy would hold tokens back
    "User-Agent": "ollama_client",
}


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
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("base_url must be http://HOST:PORT or https://HOST:PORT")
        self.base_url = base_url.rstrip("/")
        self._where = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        self.limits = limits
        self._clock = clock
        self._lock = threading.RLock()
        self._under_way: set[Call] = set()
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = verify
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, CallAdapter(pool_connections=1, pool_maxsize=pool_size))

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
            self._open(_json_request("POST", path, {**body, "stream": True}, headers), limits, cancellation)
        )

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
        answer = self._open(_json_request(method, path, body, headers), limits, cancellation)
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
        self._session.close()

    def _open(
        self,
        request: "_Request",
        limits: Limits | None,
        cancellation: Cancellation | None,
    ) -> Answer:
        call = Call(Timer(limits or self.limits, self._clock), cancellation, self._forget, self._where)
        with self._lock:
            self._under_way.add(call)
        try:
            return Answer(self._send(request, call), call)
        except BaseException:
            call.finish()
            raise

    def _forget(self, call: Call) -> None:
        with self._lock:
            self._under_way.discard(call)

    def _send(self, request: "_Request", call: Call) -> requests.Response:
        try:
            return self._send_once(request, call)
        except ConnectionCut:
            # The server may close a kept-alive connection at any moment. That is no outage,
            # as long as nothing of an answer had come.
            if call.fresh or call.answered:
                raise
        call.restart()
        return self._send_once(request, call)

    def _send_once(self, request: "_Request", call: Call) -> requests.Response:
        with _serving(call), translated(call):
            return self._session.request(
                request.method,
                self.base_url + request.path,
                data=request.data,
                headers=request.headers,
                stream=True,
                allow_redirects=False,
            )


@dataclass(frozen=True)
class _Request:
    """What is sent; kept, since a stale connection makes it necessary to send it again."""

    method: str
    path: str
    data: bytes | None
    headers: Mapping[str, str]


def _json_request(
    method: str, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str] | None
) -> _Request:
    merged = {**_HEADERS, **(headers or {})}
    if body is None:
        return _Request(method, path, None, merged)
    data = json.dumps(body, allow_nan=False).encode()
    return _Request(method, path, data, {**merged, "Content-Type": "application/json"})


@contextmanager
def _serving(call: Call) -> Iterator[None]:
    """Tells the connections beneath which call they serve."""
    token = current_call.set(call)
    try:
        yield
    finally:
        current_call.reset(token)
