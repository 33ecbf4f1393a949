"""
Ends a process of the worker that was stopped in the middle of a write to SQLite.

Whoever holds SQLite's write lock keeps everybody else from writing; held by a process that is stopped
(SIGSTOP, a debugger), it stays so. Its job goes back as after any crash. The kernel tells who holds
the lock, on Linux alone; elsewhere, and on Postgres, there is nothing to see here.
"""

import logging
import os
import re
import signal
from contextlib import suppress
from pathlib import Path

LOCKS = Path("/proc/locks")
WRITE_LOCK_BYTE = 120  # of the -shm file: SQLite's UNIX_SHM_BASE + WAL_WRITE_LOCK
# 7: POSIX  ADVISORY  WRITE 4711 fe:01:131 120 120; who waits for one has "->" before its kind
_HELD = re.compile(
    r"^\d+: POSIX +\w+ +WRITE +(?P<pid>\d+) +\S+:(?P<inode>\d+) +(?P<first>\d+) +(?P<last>\w+)", re.MULTILINE
)
STOPPED = {"T", "t"}  # by a signal, by a tracer
log = logging.getLogger(__name__)


class StoppedWriters:
    """
    Looks at one database file, for the children of one worker.

    Args:
        parent: The worker's pid.
    """

    def __init__(self, file: Path, parent: int) -> None:
        self._wal_index = Path(f"{file}-shm")
        self._parent = parent
        self._seen: int | None = None

    def run_once(self) -> int | None:
        """End the one that was there at the look before as well; its pid."""
        holder = lock_holder(self._wal_index)
        found = holder if holder is not None and self._is_stopped(holder) else None
        is_stuck = found is not None and found == self._seen
        self._seen = found
        if found is None or not is_stuck:
            return None
        log.warning("process %s was stopped while it wrote to the database, and is ended", found)
        with suppress(ProcessLookupError):
            os.kill(found, signal.SIGKILL)
        return found

    def _is_stopped(self, pid: int) -> bool:
        with suppress(OSError):
            status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
            state, parent, *_ = status.rpartition(")")[2].split()
            return state in STOPPED and int(parent) == self._parent
        return False


def lock_holder(wal_index: Path) -> int | None:
    """The pid that holds the write lock of a database in WAL mode; None: nobody, or it can't be known."""
    try:
        inode = wal_index.stat().st_ino
        locks = LOCKS.read_text(encoding="utf-8")
    except OSError:
        return None
    for found in _HELD.finditer(locks):
        first, last = int(found["first"]), found["last"]
        covers = first <= WRITE_LOCK_BYTE and (last == "EOF" or int(last) >= WRITE_LOCK_BYTE)
        if covers and int(found["inode"]) == inode:
            return int(found["pid"])
    return None
