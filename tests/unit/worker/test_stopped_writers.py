"""A process that is stopped while it holds SQLite's write lock, and who ends it."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from worker.keeper import stopped_writers
from worker.keeper.stopped_writers import StoppedWriters, lock_holder

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who holds a lock")

WRITER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE" if sys.argv[2] == "writes" else "BEGIN")
connection.execute("SELECT * FROM t").fetchall()
print("begun", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    """A database in WAL mode that is in use."""
    path = tmp_path / "paddock.db"
    with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE t (x)")
        yield path


class Children:
    """Processes in the middle of a transaction."""

    def __init__(self) -> None:
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self, file: Path, does: str, *, stopped: bool) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", WRITER, str(file), does]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        if stopped:
            process.send_signal(signal.SIGSTOP)
            os.waitpid(process.pid, os.WUNTRACED)
        return process


@pytest.fixture
def children() -> Iterator[Children]:
    found = Children()
    yield found
    for process in found.started:
        process.kill()
        process.communicate()


def test_a_child_stopped_in_a_write_is_ended_at_the_second_look(file: Path, children: Children) -> None:
    """Then others write again; one look alone may fall into a short stop."""
    child = children.start(file, "writes", stopped=True)
    watched = StoppedWriters(file, os.getpid())
    assert watched.run_once() is None
    assert child.poll() is None
    assert watched.run_once() == child.pid
    assert child.wait(5) == -signal.SIGKILL
    with closing(sqlite3.connect(file, isolation_level=None, timeout=5)) as connection:
        connection.execute("INSERT INTO t VALUES (1)")
    assert watched.run_once() is None


def test_a_child_that_goes_on_between_two_looks_is_left_alone(file: Path, children: Children) -> None:
    """It only writes for long."""
    child = children.start(file, "writes", stopped=True)
    watched = StoppedWriters(file, os.getpid())
    watched.run_once()
    child.send_signal(signal.SIGCONT)
    os.waitpid(child.pid, os.WCONTINUED)
    assert [watched.run_once(), watched.run_once(), child.poll()] == [None, None, None]


@pytest.mark.parametrize("does", ["writes", "reads"])
def test_who_holds_nobody_up_or_is_not_ours_is_left_alone(file: Path, children: Children, does: str) -> None:
    """A stopped reader; and whoever writes, of another parent: somebody's own shell."""
    child = children.start(file, does, stopped=True)
    watched = StoppedWriters(file, os.getpid() if does == "reads" else os.getppid())
    assert [watched.run_once(), watched.run_once(), child.poll()] == [None, None, None]


def test_who_holds_the_lock_is_known(file: Path, children: Children) -> None:
    """Nobody; the writer; and where the kernel does not say, nobody."""
    wal_index = Path(f"{file}-shm")
    assert lock_holder(wal_index) is None
    child = children.start(file, "writes", stopped=False)
    assert lock_holder(wal_index) == child.pid
    assert lock_holder(file.parent / "none") is None


def test_elsewhere_nobody_is_ended(
    file: Path, children: Children, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without /proc there is nothing to go by."""
    monkeypatch.setattr(stopped_writers, "LOCKS", tmp_path / "none")
    child = children.start(file, "writes", stopped=True)
    watched = StoppedWriters(file, os.getpid())
    assert [watched.run_once(), watched.run_once(), child.poll()] == [None, None, None]
