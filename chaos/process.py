"""A process that is started, frozen and killed at will; only those started here are ever touched."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from settings import ROOT

Answer = TypeVar("Answer")


def eventually(what: Callable[[], Answer], *, within: float = 30.0, every: float = 0.05) -> Answer:
    """
    The first truthy answer.

    Raises:
        TimeoutError: there was none in time; tells the last answer.
    """
    ends_at = time.monotonic() + within
    while not (answer := what()):
        if time.monotonic() > ends_at:
            raise TimeoutError(f"not so within {within} s: {answer!r}")
        time.sleep(every)
    return answer


class Process:
    """One program in a process group of its own, its output in a file."""

    def __init__(self, command: Sequence[str | Path], environment: Mapping[str, str], log: Path) -> None:
        self._command = command
        self._environment = environment
        self._log = log
        self.start()

    def start(self) -> None:
        """Start, or start again after an end."""
        self.began_at_byte = self._log.stat().st_size if self._log.exists() else 0
        with self._log.open("ab") as log:
            self.running = subprocess.Popen(
                self._command,
                cwd=ROOT,
                env=dict(self._environment),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self.running.pid

    def log(self) -> str:
        """What it has written since its last start."""
        return self._log.read_bytes()[self.began_at_byte :].decode(errors="replace")

    def children(self) -> list[int]:
        """The pids of its children, the keeper left out."""
        return [pid for pid in self._all_children() if not _leads_a_session(pid)]

    def kill_with_keeper(self) -> None:
        """End a worker and its keeper, as a crash of their machine would."""
        with suppress(StopIteration, ProcessLookupError):  # it has ended
            os.kill(self.keeper(), signal.SIGKILL)
        self.kill()

    def keeper(self) -> int:
        """The pid of a worker's keeper, which has a session of its own."""
        return next(pid for pid in self._all_children() if _leads_a_session(pid))

    def _all_children(self) -> list[int]:
        listed = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self.pid)], capture_output=True, text=True, check=False
        ).stdout
        return [int(pid) for pid in listed.split()]

    def kill(self) -> None:
        """End it as a crash would."""
        if self.running.poll() is None:
            self.running.send_signal(signal.SIGKILL)
            self.running.wait()

    def freeze(self) -> list[int]:
        """Stop it and its children where they are; returns who is stopped, for `thaw`."""
        stopped = [self.pid, *self.children()]
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        return stopped

    def stop(self, within: float = 20.0) -> float:
        """End it as an operator would, and by force after `within`; returns the seconds it took."""
        began = time.monotonic()
        if self.running.poll() is None:
            self.running.send_signal(signal.SIGTERM)
            try:
                self.running.wait(within)
            except subprocess.TimeoutExpired:
                self.kill()
        return time.monotonic() - began


def _leads_a_session(pid: int) -> bool:
    with suppress(ProcessLookupError):
        return os.getsid(pid) == pid
    return False


def thaw(stopped: Sequence[int]) -> None:
    """Let frozen processes go on."""
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)


def python(*arguments: str) -> list[str]:
    """A command line of this interpreter."""
    return [sys.executable, "-m", *arguments]
