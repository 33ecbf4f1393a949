"""
The keeper's process, as the worker's parent has it.

The first one is forked before the worker has threads, connections or children of its own: it then needs
none of the imports that a process of its own begins with, which are half of a worker's start. A later one,
and each one where a fork is not safe (macOS), is a program of its own.
"""

import gc
import os
import signal
import subprocess
import sys
import threading
import time
import traceback

from tasks.resources import pool_connections

POLL_SECONDS = 0.02


class ForkedProcess:
    """A child of this process, with as much of Popen's interface as a keeper needs."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Its exit status, or minus the signal that ended it; None while it runs."""
        if self.returncode is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            if ended:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float) -> int:
        """
        Its exit status, once it has ended.

        Raises:
            subprocess.TimeoutExpired: it still runs after this many seconds.
        """
        ends_at = time.monotonic() + timeout
        while (status := self.poll()) is None:
            if time.monotonic() > ends_at:
                raise subprocess.TimeoutExpired("keeper", timeout)
            time.sleep(POLL_SECONDS)
        return status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


KeeperProcess = ForkedProcess | subprocess.Popen[bytes]


def start_keeper(worker: str) -> KeeperProcess:
    """As a program of its own, in a session of its own: a signal to the worker's group is not for it."""
    command = [sys.executable, "-m", "worker.keeper", worker, str(os.getpid())]
    return subprocess.Popen(command, start_new_session=True)  # noqa: S603 - our own


def start_first_keeper(worker: str) -> KeeperProcess:
    """By a fork where that is safe; to be called before anything else is forked, connected or threaded."""
    if sys.platform == "darwin" or threading.active_count() > 1:
        return start_keeper(worker)
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return ForkedProcess(pid)
    status = 1
    try:
        os.setsid()
        _keep(worker, parent)
        status = 0
    except BaseException:  # whatever it was: the stack beneath is the worker's
        traceback.print_exc()
    finally:
        os._exit(status)


def _keep(worker: str, parent: int) -> None:
    gc.freeze()
    gc.enable()
    pool_connections(True)
    from worker.keeper.__main__ import main

    main(worker, parent)
