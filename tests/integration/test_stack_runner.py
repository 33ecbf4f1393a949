"""The process runner with real processes: the embedded Valkey, and one that stands for the web process."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import redis

from settings import Settings, child_environment
from stack import lifecycle, supervisor
from stack.leftovers import end_leftovers, find_leftovers, is_alive
from stack.places import Places
from stack.programs import Program, valkey, valkey_configuration

pytestmark = pytest.mark.one_database
PATIENCE_SECONDS = 20.0
# In its command line is the name by which leftovers are known again.
WEB = Program("web", (sys.executable, "-c", "import time; time.sleep(600)  # web"), 30, 5)
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)  # web"


def until(is_so: Callable[[], bool], what: str) -> None:
    """Waits for something that happens soon."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, f"not within {PATIENCE_SECONDS} s: {what}"
        time.sleep(0.02)


def runs(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        return is_alive(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return False


@dataclass
class Stack:
    """A runner that a test started, in the test's own folder."""

    places: Places
    settings: Settings
    runner: "subprocess.Popen[bytes]"

    @property
    def pids(self) -> dict[str, int]:
        with supervisor.Control(self.places) as control:
            return {name: info["pid"] for name, info in control.processes().items()}

    def redis(self) -> redis.Redis:
        return redis.Redis.from_url(self.settings.redis_url)


Start = Callable[..., Stack]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts Valkey and one more program in this test's folder; ends all of it afterwards."""
    monkeypatch.setenv("PADDOCK_VAR", str(tmp_path))
    monkeypatch.delenv("REDIS_URL", raising=False)
    places = Places(tmp_path)
    started: list[Stack] = []

    def launch(web: Program = WEB) -> Stack:
        places.make_folders()
        settings = Settings(_env_file=None)
        (tmp_path / "valkey.conf").write_text(valkey_configuration(places))
        to_run = [valkey(places), web]
        runner = supervisor.spawn(places, to_run, child_environment({}))
        started.append(Stack(places, settings, runner))
        lifecycle.start_programs(to_run, settings, places)
        # A SIGTERM between fork and exec would be lost in the runner's own handler; and what has not become
        # itself yet, when the runner is killed, is nobody's leftover.
        web_pid = started[-1].pids["web"]
        until(lambda: psutil.Process(web_pid).cmdline() == list(web.command), "it has become itself")
        return started[-1]

    yield launch
    for stack in started:
        stack.runner.kill()
        stack.runner.wait()
    end_leftovers(places, drain_seconds=0)
    if places.valkey_socket.parent != places.var:
        places.valkey_socket.parent.rmdir()


def test_each_process_that_is_killed_is_started_again(start: Start) -> None:
    """Several times, with Valkey's data still there."""
    stack = start()
    with stack.redis() as client:
        client.set("kept", "yes")
        client.execute_command("WAITAOF", 1, 0, 2000)  # on the disk, which else takes up to a second
    for _ in range(3):
        before = stack.pids
        for pid in before.values():
            os.kill(pid, signal.SIGKILL)
        until(
            lambda: all(pid and pid != before[name] for name, pid in stack.pids.items()),  # noqa: B023
            "each has a new process",
        )
    with stack.redis() as client:
        lifecycle.wait_for_valkey(stack.settings.redis_url, stack.places)
        assert client.get("kept") == b"yes"


def test_a_second_start_finds_the_data_of_the_first(start: Start) -> None:
    """Stopping writes everything to the disk."""
    first = start()
    with first.redis() as client:
        client.set("kept", "yes")
    assert lifecycle.stop(first.settings)
    assert first.runner.wait(PATIENCE_SECONDS) == 0
    second = start()
    with second.redis() as client:
        assert client.get("kept") == b"yes"
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_nobody_else_reaches_valkey(start: Start) -> None:
    """It listens on no port; its socket is its owner's."""
    stack = start()
    assert stack.places.valkey_socket.stat().st_mode & 0o777 == 0o700
    assert stack.places.control_socket.stat().st_mode & 0o777 == 0o700
    listening = [
        c for c in psutil.Process(stack.pids["valkey"]).net_connections("inet") if c.status == "LISTEN"
    ]
    assert listening == []


def test_stopping_ends_every_process(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    """And says so; a second time it says that there is nothing to stop."""
    stack = start()
    pids = stack.pids
    lifecycle.stop(stack.settings)
    assert not any(map(runs, pids.values()))
    assert "Stopped." in capsys.readouterr().err
    lifecycle.stop(stack.settings)
    assert "Nothing runs in this folder." in capsys.readouterr().err


def test_what_a_killed_runner_left_behind_is_found_and_ended(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else it would fight with the next start for ports and data. Valkey ends last: the others use it."""
    stack = start()
    pids = stack.pids
    stack.runner.kill()
    stack.runner.wait()
    expected = [("web", pids["web"]), ("valkey", pids["valkey"])]

    def are_found() -> bool:
        found = find_leftovers(stack.places)
        return [(leftover.name, leftover.process.pid) for leftover in found] == expected

    until(are_found, "web is itself by now")
    end_leftovers(stack.places, drain_seconds=0)
    assert not any(map(runs, pids.values()))
    assert f"Ending web (process {pids['web']}), left behind" in capsys.readouterr().err
    assert set(start().pids) == {"valkey", "web"}


def test_stop_ends_what_a_killed_runner_left_behind(start: Start) -> None:
    """`make stop` leaves nothing, whatever happened before."""
    stack = start()
    pids = stack.pids
    stack.runner.kill()
    stack.runner.wait()
    lifecycle.stop(stack.settings)
    assert not any(map(runs, pids.values()))


@pytest.mark.parametrize("kind", ["another program", "started after the note was written"])
def test_a_process_that_is_not_ours_is_left_alone(tmp_path: Path, kind: str) -> None:
    """A process id that was given away again is no reason to end whoever has it now."""
    places = Places(tmp_path)
    places.make_folders()
    comment = "something" if kind == "another program" else "web"
    with subprocess.Popen([sys.executable, "-c", f"import time; time.sleep(600)  # {comment}"]) as other:
        note = places.pids / "web.pid"
        note.write_text(f"{other.pid}\n")
        if kind != "another program":
            os.utime(note, (0, time.time() - 3600))
        try:
            assert find_leftovers(places) == []
            end_leftovers(places, drain_seconds=0)
            assert other.poll() is None
            assert not note.exists()
        finally:
            other.kill()


def test_a_process_that_does_not_listen_is_killed_in_the_end(start: Start) -> None:
    """Its time is over after `stop_wait_seconds`."""
    stack = start(Program("web", (sys.executable, "-c", DEAF), 30, stop_wait_seconds=1))
    time.sleep(0.5)  # until Python has set its handler
    pid = stack.pids["web"]
    lifecycle.stop(stack.settings)
    assert not runs(pid)


def test_a_second_runner_is_refused_in_one_line(start: Start) -> None:
    """`run` in a folder whose stack is up changes nothing about it."""
    stack = start()
    done = subprocess.run(
        [sys.executable, "-m", "stack", "run"], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("This folder's stack is already up")
    assert stack.runner.poll() is None
