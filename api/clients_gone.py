"""
Noticing that a client has gone while nothing is being written to it: its job waits, or its model loads.

A watcher of the event loop on each waiting client's socket: no thread, no greenlet, no polling.
"""

import socket
from collections.abc import Callable, Mapping
from typing import Any

from gevent import get_hub
from gevent.monkey import get_original, is_module_patched

_SOCKET = "gunicorn.socket"
_READ = 1
# A client whose machine has gone says nothing; noticed within IDLE + COUNT intervals seconds.
_KEEP_ALIVE = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}


def watch_client(environ: Mapping[str, Any], on_gone: Callable[[], None]) -> Callable[[], None]:
    """
    Call `on_gone`, which must not block, when the client closes its connection.

    Returns:
        Ends the watch; may be called again. Where the server shows no socket, nothing is watched
        and a client's leaving is noticed at the next write.
    """
    client = environ.get(_SOCKET)
    if client is None or not is_module_patched("socket"):
        return lambda: None
    _notice_lost_machines(client)
    watcher = get_hub().loop.io(client.fileno(), _READ)

    def look() -> None:
        try:
            is_open = _peek(client.fileno())
        except BlockingIOError:
            return
        except OSError:
            is_open = False
        watcher.stop()  # also where a next request is there already: it would wake us for ever
        if not is_open:
            on_gone()

    watcher.start(look)

    def end() -> None:
        watcher.stop()
        watcher.close()

    return end


def _peek(descriptor: int) -> bool:
    """Whether there is anything to read but the end."""
    plain: socket.socket = get_original("socket", "socket")(fileno=descriptor)
    try:
        return bool(plain.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    finally:
        plain.detach()


def _notice_lost_machines(client: socket.socket) -> None:
    if client.family not in (socket.AF_INET, socket.AF_INET6):
        return
    client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEP_ALIVE.items():
        if hasattr(socket, name):  # macOS has other names for some
            client.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
