"""
A server that knows nothing of HTTP: it reads a request and plays recorded bytes.

So that our client and our simulated Ollama can't share a misunderstanding of the protocol.
"""

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

WIRE = Path(__file__).parent / "wire"

Step = Callable[["Connection"], None]


class Connection:
    """The server's end of one connection."""

    def __init__(self, sock: socket.socket, server: "ReplayServer") -> None:
        self.sock = sock
        self.server = server

    def read_request(self) -> bytes:
        """The next request, head and body; empty when the client has gone."""
        received = b""
        while b"\r\n\r\n" not in received:
            part = self.sock.recv(65536)
            if not part:
                return b""
            received += part
        head, _, body = received.partition(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        while len(body) < length:
            body += self.sock.recv(65536)
        return head + b"\r\n\r\n" + body


class ReplayServer:
    """
    Plays one script a request; the last one again for all requests that follow.

    Attributes:
        requests: What was received, raw.
        gone: Set when the client closed a connection while the server was waiting for that.
        reached: Set by the step `tell`.
    """

    def __init__(self, *scripts: Iterable[Step]) -> None:
        self.scripts = [list(script) for script in scripts]
        self.requests: list[bytes] = []
        self.connections = 0
        self.gone = threading.Event()
        self.reached = threading.Event()
        self._stopping = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> "ReplayServer":
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._open:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    def _start(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(sock)
            self._start(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        connection = Connection(sock, self)
        with sock, suppress(OSError, _Closed):
            while request := connection.read_request():
                with self._lock:
                    number = len(self.requests)
                    self.requests.append(request)
                for step in self.scripts[min(number, len(self.scripts) - 1)]:
                    step(connection)


class _Closed(Exception):
    """The script has closed the connection."""


def send(data: bytes) -> Step:
    """Write these bytes."""
    return lambda connection: connection.sock.sendall(data)


def close(connection: Connection) -> None:
    """End the connection properly (FIN)."""
    raise _Closed


def reset(connection: Connection) -> None:
    """Cut the connection (RST), as a killed process with unread data does."""
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise _Closed


def tell(connection: Connection) -> None:
    """Let the test know that the script has come this far."""
    connection.server.reached.set()


def hang(connection: Connection) -> None:
    """Send nothing more; note when the client goes."""
    with suppress(OSError):
        while connection.sock.recv(65536):
            pass
    connection.server.gone.set()
    raise _Closed


def recording(name: str) -> dict[str, Any]:
    """One recorded exchange."""
    loaded: dict[str, Any] = json.loads((WIRE / f"{name}.json").read_text("utf-8"))
    return loaded


def recorded_names() -> list[str]:
    """All recordings."""
    return sorted(path.stem for path in WIRE.glob("*.json"))


def head_of(response: dict[str, Any]) -> bytes:
    """
    Status line and headers in wire order.

    Content-Length is counted anew: in three recordings a file's path in the error text was
    shortened after the recording, and their length is still that of the original.
    """
    body_bytes = len((response.get("body_text") or "").encode())
    lines = [f"HTTP/1.1 {response['status']} {response['reason']}"]
    for name, value in response["headers"]:
        lines.append(f"{name}: {body_bytes if name.lower() == 'content-length' else value}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def chunk(data: bytes) -> bytes:
    """One piece of a chunked body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"


def script_of(response: dict[str, Any], *, cut: bool = False) -> list[Step]:
    """
    The steps that replay a recorded response.

    Args:
        cut: The connection ended without the chunk that says the body is complete.
    """
    chunked = any(name.lower() == "transfer-encoding" for name, _ in response["headers"])
    if "lines" in response:
        pieces = [line.encode() + b"\n" for line in response["lines"]]
    else:
        pieces = [(response.get("body_text") or "").encode()]
    steps = [send(head_of(response))]
    steps += [send(chunk(piece) if chunked else piece) for piece in pieces if piece]
    if cut:
        return [*steps, close]
    return [*steps, send(LAST_CHUNK)] if chunked else steps


@contextmanager
def replaying(*scripts: Iterable[Step]) -> Iterator[ReplayServer]:
    """A running server for these scripts."""
    with ReplayServer(*scripts) as server:
        yield server
