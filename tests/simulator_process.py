"""
The simulated Ollama as a process of its own, for tests.

`simulator` is a fresh one for a test; `start_simulator` starts one with options:

    with start_simulator("--parallel", "4", "--load-seconds", "0.2") as ollama:
        ollama.url, ollama.served(), ollama.control(hang=True)

Import the fixture into a conftest: `from tests.simulator_process import simulator`.
"""

import json
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_ANNOUNCEMENT = re.compile(r"simulated Ollama: url=(?P<url>http://\S+:(?P<port>\d+)) pid=(?P<pid>\d+)")
_STOP_SECONDS = 5


class SimulatorProcess:
    """A running simulator; `start` again after `kill` listens at the same address."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._options = options
        self._log = folder / "served.jsonl"
        self._process: subprocess.Popen[str] | None = None
        self.url = ""
        self.port = 0
        self.start()

    def start(self) -> None:
        """Start it and return once it listens."""
        command = [sys.executable, "-m", "ollama_client.simulator", "--port", str(self.port)]
        self._process = subprocess.Popen(
            [*command, "--log", str(self._log), *self._options],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parent.parent,
        )
        assert self._process.stdout
        announced = _ANNOUNCEMENT.match(self._process.stdout.readline())
        assert announced, "the simulator did not start"
        self.url = announced["url"]
        self.port = int(announced["port"])

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._end("kill")

    def stop(self) -> None:
        """End it as an operator would."""
        self._end("terminate")

    def served(self, event: str | None = None, **wanted: object) -> list[dict[str, Any]]:
        """The log of served requests so far, or those lines with this event and these values: `job="…"`."""
        if not self._log.exists():
            return []
        # A line that is being written at this moment has no end yet.
        lines = self._log.read_text(encoding="utf-8").split("\n")[:-1]
        wanted = wanted if event is None else {"event": event, **wanted}
        entries = map(json.loads, lines)
        return [entry for entry in entries if all(entry[name] == value for name, value in wanted.items())]

    def started(self, **wanted: object) -> list[dict[str, Any]]:
        """The generations that began."""
        return self.served("start", **wanted)

    def ended(self, **wanted: object) -> list[dict[str, Any]]:
        """The requests that are over, whatever their outcome."""
        return self.served("end", **wanted)

    def control(self, **switches: object) -> dict[str, Any]:
        """Set switches (see simulator/control.py); the state afterwards."""
        state: dict[str, Any] = self.call("POST", "/simulator/control", switches)
        return state

    def state(self) -> dict[str, Any]:
        """What is loaded, running and waiting."""
        state: dict[str, Any] = self.call("GET", "/simulator/state")
        return state

    def call(self, method: str, path: str, body: object = None) -> Any:
        """One plain exchange of JSON; an error status raises urllib's HTTPError."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method)
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)

    def wait_until(self, is_so: Callable[[], object], seconds: float = 5.0) -> None:
        """Return as soon as a fact holds; fail if it does not in time."""
        deadline = time.monotonic() + seconds
        while not is_so():
            assert time.monotonic() < deadline, f"not so within {seconds} s; state: {self.state()}"
            time.sleep(0.005)

    def _end(self, how: str) -> None:
        if self._process is None:
            return
        getattr(self._process, how)()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()
        self._process = None


@contextmanager
def start_simulator(*options: str) -> Iterator[SimulatorProcess]:
    """A simulator with these command-line options for the block."""
    with tempfile.TemporaryDirectory() as folder:
        process = SimulatorProcess(Path(folder), *options)
        try:
            yield process
        finally:
            process.stop()


@pytest.fixture
def simulator() -> Iterator[SimulatorProcess]:
    """A fresh simulator with the default models and no delays."""
    with start_simulator() as process:
        yield process
