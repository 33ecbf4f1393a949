"""
Processes that a killed process runner left behind.

Each program notes its process id before it becomes itself. A noted process is ended only if it is surely
ours: it started before the note was written and its command line is the program's.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from .places import Places
from .terminal import say

# What a stack of this folder may have run, in the order in which it is ended, with seconds until SIGKILL.
ENDING_ORDER = ("flower", "worker", "web", "simulator", "valkey")
CLOCK_TOLERANCE_SECONDS = 5.0


@dataclass(frozen=True)
class Leftover:
    """A process of ours without a runner."""

    name: str
    process: psutil.Process
    pid_file: Path


def find_leftovers(places: Places) -> list[Leftover]:
    """Those of this folder, in the order in which they are to be ended."""
    found = [
        Leftover(path.stem, process, path)
        for path in places.pids.glob("*.pid")
        if (process := _verified(path)) is not None
    ]
    return sorted(found, key=lambda leftover: ENDING_ORDER.index(_kind(leftover.name)))


def _kind(name: str) -> str:
    """`worker-2` is a worker."""
    return name.partition("-")[0]


def _verified(pid_file: Path) -> psutil.Process | None:
    """The process that this file notes, if it is still that one."""
    kind = _kind(pid_file.stem)
    with suppress(OSError, ValueError, psutil.Error):
        process = psutil.Process(int(pid_file.read_text()))
        written_at = pid_file.stat().st_mtime
        if (
            kind in ENDING_ORDER
            and is_alive(process)
            and process.uids().real == os.getuid()
            and process.create_time() <= written_at + CLOCK_TOLERANCE_SECONDS
            and any(kind in word for word in process.cmdline())
        ):
            return process
    return None


def end_leftovers(places: Places, drain_seconds: float) -> None:
    """Ends them as the runner would have: in order, SIGTERM first, SIGKILL when their time is over."""
    for leftover in find_leftovers(places):
        say(f"Ending {leftover.name} (process {leftover.process.pid}), left behind by an earlier run ...")
        is_worker = _kind(leftover.name) == "worker"
        _end(leftover.process, drain_seconds + 10 if is_worker else 15)
    for path in _pid_files(places):
        path.unlink(missing_ok=True)


def _pid_files(places: Places) -> Iterator[Path]:
    return places.pids.glob("*.pid")


def _end(process: psutil.Process, wait_seconds: float) -> None:
    with suppress(psutil.NoSuchProcess):
        process.terminate()
        deadline = time.monotonic() + wait_seconds
        while is_alive(process):
            if time.monotonic() > deadline:
                # The runner gave each program a process group of its own.
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            time.sleep(0.02)


def is_alive(process: psutil.Process) -> bool:
    """Whether it still runs; a dead one that its parent has not looked after yet does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
