"""Connections that know the call they serve: its limits, and how to be woken."""

import errno
import os
import socket
import threading
import time
from typing import Any
from urllib.parse import urlsplit

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.response import HTTPResponse
from urllib3.util.wait import wait_for_write

from ollama_client.call import Call, current_call

# An attempt to connect looks this often whether it was cancelled: shutdown() does not wake
# a connecting socket on every system.
CANCEL_POLL_SECONDS = 0.02


class _CallConnection(HTTPConnection):
    """An HTTP connection whose every wait is bounded and cancellable by its call."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.guard = threading.RLock()
        self.owner: Call | None = None

    def _new_conn(self) -> socket.socket:
        call = current_call.get()
        call.check()
        call.timer.connecting()
        host = self._dns_host.strip("[]")
        try:
            found = socket.getaddrinfo(host, self.port, 0, socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError) as error:
            reason = error if isinstance(error, socket.gaierror) else socket.gaierror(str(error))
            raise NameResolutionError(self.host, self, reason) from reason
        failure: OSError = OSError(errno.EADDRNOTAVAIL, "no address")
        for tried, (family, kind, protocol, _, address) in enumerate(found):
            # Each address gets its share, or one that swallows packets would use up the limit.
            share = call.timer.seconds_left() / (len(found) - tried)
            try:
                return _connected(socket.socket(family, kind, protocol), address, call, share)
            except OSError as error:
                failure = error
        if isinstance(failure, TimeoutError):
            raise ConnectTimeoutError(self, "timed out") from failure
        raise NewConnectionError(self, failure.strerror or str(failure)) from failure

    def connect(self) -> None:
        """Open the connection, TLS included."""
        super().connect()
        current_call.get().fresh = True

    def request(
        self,
        method: str,
        url: str,
        body: Any = None,
        headers: Any = None,
        **kwargs: Any,
    ) -> None:
        """Send the request; http.client would open the connection in the middle of it."""
        call = current_call.get()
        if call.must_connect and not call.fresh:
            self.close()
        if self.sock is None:
            self.connect()
        sock: socket.socket = self.sock
        call.take(self, sock)
        call.timer.sending()
        self.timeout = call.timer.seconds_left()
        sock.settimeout(self.timeout)
        super().request(method, url, body, headers, **kwargs)

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # urllib3's own answer type
        """Wait for the headers: Ollama sends them together with the first token."""
        call = current_call.get()
        call.check()
        self.timeout = call.timer.seconds_left()
        response = super().getresponse()
        call.answered = True
        return response


class _CallTLSConnection(_CallConnection, HTTPSConnection):
    """The same over TLS. The handshake can't be woken; the connect limit bounds it."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _CallConnection


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _CallTLSConnection


class CallAdapter(HTTPAdapter):
    """
    Makes a requests session use the connections above, for one address and through no proxy.

    What requests would find out anew for each request is known: it was a third of the time to send one.
    """

    _known_pool: Any = None
    _origin_length = 0

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Called by requests when the adapter is made."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}

    def close(self) -> None:
        """Close the idle connections: they stay open for as long as somebody holds their pool."""
        self._known_pool = None
        super().close()

    def get_connection_with_tls_context(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        """Called by requests: the pool of the address."""
        if self._known_pool is None:
            scheme, host, *_ = urlsplit(str(request.url))
            self._origin_length = len(f"{scheme}://{host}")
            self._known_pool = super().get_connection_with_tls_context(request, *args, **kwargs)
        return self._known_pool

    def request_url(self, request: PreparedRequest, _proxies: Any) -> str:
        """Called by requests after the pool: what stands in the request's first line."""
        return str(request.url)[self._origin_length :]

    def build_response(self, request: PreparedRequest, response: Any) -> Response:
        """Called by requests: the answer, of which nobody wants cookies or a guess at its encoding."""
        built = Response()
        built.status_code, built.reason, built.headers = response.status, response.reason, response.headers
        built.raw, built.url, built.request = response, str(request.url), request
        return built


def _connected(sock: socket.socket, address: Any, call: Call, seconds: float) -> socket.socket:
    """
    The socket, connected to the address within so many seconds.

    Raises:
        TimeoutError, OSError: As `connect` would.
        Aborted: The call was cancelled meanwhile.
    """
    deadline = time.monotonic() + seconds
    try:
        sock.setblocking(False)
        code = sock.connect_ex(address)
        if code in (errno.EINPROGRESS, errno.EWOULDBLOCK):
            while not wait_for_write(sock, timeout=CANCEL_POLL_SECONDS):
                call.check()
                if time.monotonic() >= deadline:
                    raise TimeoutError
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
        sock.settimeout(max(deadline - time.monotonic(), CANCEL_POLL_SECONDS))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        sock.close()
        raise
    return sock
