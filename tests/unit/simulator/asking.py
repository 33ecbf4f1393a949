"""A bare HTTP/1.1 client: what arrives is what was sent, terminating chunk or not."""

import http.client
import json
import socket
import threading
from typing import Any

CRLF = b"\r\n"


class Exchange:
    """One request, sent at once; its answer is read when asked for."""

    def __init__(
        self, port: int, path: str, body: object, *, job: str | None = None, buffer: int = 0, **fields: object
    ) -> None:
        self._socket = socket.socket()
        if buffer:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self._socket.settimeout(20)
        self._socket.connect(("127.0.0.1", port))
        sent = json.dumps({**body, **fields} if isinstance(body, dict) else body).encode()
        head = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(sent)}"]
        if job:
            head.append(f"X-Job-ID: {job}")
        self._socket.sendall("\r\n".join([*head, "", ""]).encode() + sent)
        self._received = b""

    def close(self) -> None:
        """Go away."""
        self._socket.close()

    def read_until(self, mark: bytes) -> bytes:
        """Everything received so far, at least up to a mark or the connection's end."""
        while mark not in self._received:
            more = self._socket.recv(65536)
            if not more:
                break
            self._received += more
        return self._received

    def finish(self) -> "Exchange":
        """Read the whole answer, or what comes before the connection is cut."""
        head = self.read_until(CRLF * 2)
        if b"chunked" in head:
            self.read_until(b"\r\n0\r\n\r\n")
        elif b"Content-Length: " in head:
            length = int(head.split(b"Content-Length: ")[1].split(CRLF)[0])
            start = head.index(CRLF * 2) + 4
            while len(self._received) < start + length and (more := self._socket.recv(65536)):
                self._received += more
        self.close()
        return self

    @property
    def status(self) -> int:
        """The status, or 0 where no answer came."""
        return int(self._received[9:12]) if self._received else 0

    @property
    def is_terminated(self) -> bool:
        """Whether the terminating chunk came."""
        return self._received.endswith(b"\r\n0\r\n\r\n")

    def lines(self) -> list[dict[str, Any]]:
        """The JSON lines of the answer, whatever chunks they came in."""
        body = self._received.split(CRLF * 2, 1)[1]
        if b"chunked" in self._received.split(CRLF * 2, 1)[0]:
            body = b"".join(body.split(CRLF)[1::2])
        return [json.loads(line) for line in body.split(b"\n") if line]

    def text(self) -> str:
        """The generated text."""
        return "".join(
            line.get("response", line.get("message", {}).get("content", "")) for line in self.lines()
        )


def generate(port: int, prompt: str = "hello", model: str = "llama3.2:1b", **fields: Any) -> Exchange:
    """Begin a generation; `num_predict` and `num_ctx` go into the options, the rest into the body."""
    job, buffer = fields.pop("job", None), fields.pop("buffer", 0)
    options = {name: fields.pop(name) for name in ("num_predict", "num_ctx", "stop") if name in fields}
    body = {"model": model, "prompt": prompt, "options": options, **fields}
    return Exchange(port, "/api/generate", body, job=job, buffer=buffer)


def in_background(exchange: Exchange) -> threading.Thread:
    """Read an answer to its end on a thread."""
    thread = threading.Thread(target=exchange.finish, daemon=True)
    thread.start()
    return thread


def ask(port: int, method: str, path: str, body: object = None) -> tuple[int, str]:
    """Status and body of a whole exchange; a body of bytes is sent as it is, another as JSON."""
    sent = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, sent)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()
