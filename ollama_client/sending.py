"""Sending a request over a kept-alive connection, or a new one where that is stale."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests

from ollama_client.call import Call, current_call
from ollama_client.connection import CallAdapter
from ollama_client.errors import ConnectionCut
from ollama_client.translation import translated

_HEADERS = {
    "Accept": "application/x-ndjson, application/json",
    "Accept-Encoding": "identity",  # a compressing proxy would hold tokens back
    "User-Agent": "ollama_client",
}


@dataclass(frozen=True)
class Request:
    """What is sent; kept, since a stale connection makes it necessary to send it again."""

    method: str
    path: str
    data: bytes | None
    headers: Mapping[str, str]


def json_request(
    method: str, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str] | None
) -> Request:
    """A request with this body as JSON, or none; ValueError for NaN and infinity in it."""
    if body is None:
        return Request(method, path, None, headers or {})
    data = json.dumps(body, allow_nan=False).encode()
    return Request(method, path, data, {**(headers or {}), "Content-Type": "application/json"})


class Sender:
    """
    The requests session for one address; may be shared by threads.

    Attributes:
        where: The address without user name and password.

    Raises:
        ValueError: The base URL has no http or https, or no host.
    """

    def __init__(self, base_url: str, pool_size: int, verify: bool | str) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("base_url must be http://HOST:PORT or https://HOST:PORT")
        self.base_url = base_url.rstrip("/")
        self.where = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = verify
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, CallAdapter(pool_connections=1, pool_maxsize=pool_size))
        # What all requests have in common, a user name and password of the address among them. Preparing
        # each anew takes longer than sending it.
        prepared = self._session.prepare_request(requests.Request("GET", self.base_url))
        self._base = str(prepared.url).rstrip("/")
        self._headers = _by_name({**prepared.headers, **_HEADERS})
        self._adapter = self._session.get_adapter(self.base_url)
        self._verify = verify

    def close(self) -> None:
        """Close the idle connections."""
        self._session.close()

    def send(self, request: Request, call: Call) -> requests.Response:
        """
        The answer, of whatever status, as soon as its headers are there.

        Raises:
            OllamaUnavailable, OllamaTimeout, InvalidResponse, Aborted: There is none.
        """
        try:
            return self._send_once(request, call)
        except ConnectionCut:
            # The server may close a kept-alive connection at any moment. That is no outage,
            # as long as nothing of an answer had come.
            if call.fresh or call.answered:
                raise
        call.restart()
        return self._send_once(request, call)

    def _send_once(self, request: Request, call: Call) -> requests.Response:
        prepared = requests.PreparedRequest()
        prepared.method = request.method
        prepared.url = self._base + request.path
        prepared.body = request.data
        headers = dict({**self._headers, **_by_name(request.headers)}.values())
        if request.data is not None or request.method == "POST":
            headers["Content-Length"] = str(len(request.data or b""))
        prepared.headers = headers  # type: ignore[assignment]  # no two names differ by their case alone
        with _serving(call), translated(call):
            return self._adapter.send(prepared, stream=True, verify=self._verify)


def _by_name(headers: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Headers as they are spelled, by what they mean."""
    return {name.lower(): (name, str(value)) for name, value in headers.items()}


@contextmanager
def _serving(call: Call) -> Iterator[None]:
    """Tells the connections beneath which call they serve."""
    token = current_call.set(call)
    try:
        yield
    finally:
        current_call.reset(token)
