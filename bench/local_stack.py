"""A stack of its own for a benchmark: free ports, a folder that is thrown away, the simulated Ollama."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60.0


@dataclass(frozen=True)
class LocalStack:
    """Where a running stack answers."""

    base_url: str
    ollama_url: str
    key: str
    served_log: Path  # the simulator's: a line at the start and end of each generation
    valkey_socket: Path

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def local_stack(
    *, slots: int, simulator_options: tuple[str, ...] = (), settings: Mapping[str, str] | None = None
) -> Iterator[LocalStack]:
    """Start simulator and stack, wait until a worker lives, stop both afterwards."""
    with tempfile.TemporaryDirectory(prefix="pdk") as folder:
        port, ollama_port = free_port(), free_port()
        served_log = Path(folder) / "served.jsonl"
        simulator = subprocess.Popen(
            [
                *(sys.executable, "-m", "ollama_client.simulator", "--port", str(ollama_port)),
                *("--parallel", str(slots), "--log", str(served_log), *simulator_options),
            ],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
        )
        environment = {
            **os.environ,
            "PADDOCK_VAR": str(Path(folder) / "var"),
            "PADDOCK_OLLAMA_HOST": f"127.0.0.1:{ollama_port}",
            "PADDOCK_CONCURRENCY": str(slots),
            "PORT": str(port),
            "FLOWER_PORT": str(free_port()),
            **(settings or {}),
        }
        stack = [sys.executable, "-m", "stack"]
        try:
            wait_for(f"http://127.0.0.1:{ollama_port}/api/version")
            _run([*stack, "start"], environment)
            key = (Path(folder) / "var" / "admin.key").read_text().strip()
            running = LocalStack(
                base_url=f"http://127.0.0.1:{port}",
                ollama_url=f"http://127.0.0.1:{ollama_port}",
                key=key,
                served_log=served_log,
                valkey_socket=Path(folder) / "var" / "valkey.sock",
            )
            _wait_for_worker(running)
            yield running
        finally:
            _run([*stack, "stop"], environment)
            simulator.terminate()
            simulator.wait()


def _run(command: list[str], environment: dict[str, str]) -> None:
    subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def wait_for(url: str) -> None:
    """Until it answers; an error after START_SECONDS."""
    ends_at = time.monotonic() + START_SECONDS
    while True:
        try:
            requests.get(url, timeout=1)
            return
        except requests.ConnectionError:
            if time.monotonic() > ends_at:
                raise
            time.sleep(0.1)


def _wait_for_worker(stack: LocalStack) -> None:
    ends_at = time.monotonic() + START_SECONDS
    while time.monotonic() < ends_at:
        response = requests.get(f"{stack.base_url}/api/llm/models/", headers=stack.headers, timeout=5)
        if response.ok and any(model.get("workers") for model in response.json().get("models", [])):
            return
        time.sleep(0.2)
    raise TimeoutError("no worker reported within a minute")
