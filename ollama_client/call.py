"""One call under way: its timer, its socket, and whether somebody wants it stopped."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from typing import Protocol

from ollama_client.cancellation import Cancellation
from ollama_client.errors import Aborted
from ollama_client.limits import Timer


class Line(Protocol):
    """The connection of a call, as far as a call is concerned."""

    guard: threading.RLock
    owner: "Call | None"


class Call:
    """
    State of one exchange that its connection and other threads share.

    Attributes:
        timer: Its limits.
        where: The address, for error messages: without user name and password.
        connected: A connection stands, so a failure is a cut and not an unreachable host.
        fresh: This call opened its connection; False: it took over a kept-alive one.
        answered: The status line and headers have arrived.
        must_connect: A kept-alive connection won't do: the last one was stale.
    """

    def __init__(
        self,
        timer: Timer,
        cancellation: Cancellation | None = None,
        on_finish: "Callable[[Call], None] | None" = None,
        where: str = "",
    ) -> None:
        self.timer = timer
        self.where = where
        self.connected = False
        self.fresh = False
        self.answered = False
        self.must_connect = False
        self._aborted = False
        self._line: Line | None = None
        self._socket: socket.socket | None = None
        self._cancellation = cancellation
        self._on_finish = on_finish
        if cancellation is not None:
            cancellation.watch(self)

    @property
    def aborted(self) -> bool:
        """Whether somebody has asked for its end."""
        return self._aborted

    def abort(self) -> None:
        """End it, from any thread: whatever blocks on its socket returns at once."""
        self._aborted = True
        line = self._line
        if line is None:
            return
        # A finished call's connection may serve another one by now. Under the guard it
        # can't change hands, and only the socket of this call is shut down.
        with line.guard:
            if line.owner is self and self._socket is not None:
                shut_down(self._socket)

    def check(self) -> None:
        """Raise `Aborted` if somebody has asked for its end."""
        if self._aborted:
            raise Aborted

    def take(self, line: Line, sock: socket.socket) -> None:
        """This connection serves the call from now on."""
        with line.guard:
            line.owner = self
            self._socket = sock
            self._line = line
        self.connected = True
        # Set above first, checked here second: an abort() in between is seen by one or the other.
        self.check()

    def set_socket_timeout(self) -> None:
        """Let the next read block for as long as the limits allow; raises when they don't."""
        if self._socket is not None:
            self._socket.settimeout(self.timer.seconds_left())

    def limit_socket(self, seconds: float) -> None:
        """Let the next reads block for so long at most, whatever the limits say."""
        if self._socket is not None:
            self._socket.settimeout(seconds)

    def restart(self) -> None:
        """Forget the connection that turned out to be stale."""
        self._release()
        self.connected = self.fresh = False
        self.must_connect = True

    def finish(self) -> None:
        """Nothing may touch its connection through this call any more."""
        self._release()
        if self._cancellation is not None:
            self._cancellation.forget(self)
        if self._on_finish is not None:
            self._on_finish(self)

    def _release(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            with line.guard:
                if line.owner is self:
                    line.owner = None
        self._socket = None


# urllib3 builds and uses connections several layers down, in the thread of the call.
current_call: ContextVar[Call] = ContextVar("current_call")


def shut_down(sock: socket.socket) -> None:
    """Wake whoever blocks on this socket, and tell the other side that we are gone."""
    # The base class's method: SSLSocket.shutdown would pull the TLS state away under the reader.
    with suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
