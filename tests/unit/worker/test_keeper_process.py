"""The keeper's process: forked from a worker that starts, or a program of its own."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from settings import ROOT
from worker import keeper_process
from worker.keeper_process import ForkedProcess

# Forks keepers whose work is replaced, and says what became of them.
SCRIPT = """
import os, sys
from worker import keeper_process
from worker.keeper import __main__ as keeper

def fail():
    raise RuntimeError("of its own")

for end in (lambda: None, fail, lambda: os.kill(os.getpid(), 9)):
    def main(worker, parent):
        print(worker, parent == os.getppid(), os.getsid(0) == os.getpid(), flush=True)
        end()

    keeper.main = main
    print(keeper_process.start_first_keeper("w1@gpu").wait(5.0), flush=True)
"""


@pytest.mark.skipif(sys.platform == "darwin", reason="nothing is forked on macOS")
def test_a_worker_that_starts_forks_its_keeper() -> None:
    """In a session of its own; how it ends is its parent's to know, and nothing of the parent runs twice."""
    ran = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=True)
    keeper = "w1@gpu True True"
    assert ran.stdout.splitlines() == [keeper, "0", keeper, "1", keeper, "-9"]
    assert ran.stderr.strip().endswith("RuntimeError: of its own")


def test_a_worker_with_threads_forks_no_keeper(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that another thread holds in this moment would stay locked for ever."""
    started: list[list[str]] = []
    monkeypatch.setattr(keeper_process.subprocess, "Popen", lambda command, **_: started.append(command))
    ended = threading.Event()
    thread = threading.Thread(target=ended.wait)
    thread.start()
    try:
        keeper_process.start_first_keeper("w1@gpu")
    finally:
        ended.set()
        thread.join()
    assert started == [[sys.executable, "-m", "worker.keeper", "w1@gpu", str(os.getpid())]]


@pytest.mark.parametrize(("how", "number"), [("terminate", signal.SIGTERM), ("kill", signal.SIGKILL)])
def test_a_forked_process_is_signalled_while_it_runs(how: str, number: int) -> None:
    """And not any more when it has ended: its id may be another's then."""
    sleeper = subprocess.Popen(["sleep", "60"])
    process = ForkedProcess(sleeper.pid)
    assert process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.01)
    getattr(process, how)()
    assert process.wait(5.0) == -number
    process.kill()
    sleeper.returncode = process.returncode  # reaped above
