"""
gunicorn's answer in one write: its head goes out together with the first piece of its body.

gunicorn sends the two by themselves: a system call and a packet more for each answer, and a client
that wakes up twice. Nothing of it counts beside a large piece, which would be copied.
"""

from typing import Any

from gunicorn.http import wsgi

from jobs.processor import give_way

LARGE_BYTES = 65_536


class _Pieces:
    """Takes what is sent, in a socket's place."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def sendall(self, data: bytes) -> None:
        self.sent.append(data)


class OneWrite(wsgi.Response):  # type: ignore[misc]  # gunicorn has no types
    """An answer whose first write is one."""

    sock: Any

    def write(self, arg: Any) -> None:
        if self.headers_sent or len(arg) > LARGE_BYTES:
            super().write(arg)
        else:
            sock, pieces = self.sock, _Pieces()
            self.sock = pieces
            try:
                super().write(arg)
            finally:
                self.sock = sock
            sock.sendall(b"".join(pieces.sent))
        give_way()


def write_at_once() -> None:
    """Have gunicorn's workers answer so; it has no setting for it."""
    wsgi.Response = OneWrite
