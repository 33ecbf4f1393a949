"""A clone of the project in a folder of its own, used as a person would: with make."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import requests

from settings import ROOT

# As stack/bootstrap.sh writes it when it is done.
STAMP = 'echo "$(pwd) $(cat requirements*.txt constraints.txt | cksum)" >.venv/.paddock-requirements.txt'
COMMAND_TIMEOUT_SECONDS = 120.0
PATIENCE_SECONDS = 30.0
OWN_VARIABLES = ("PADDOCK_", "OLLAMA_", "MAKE", "MFLAGS", "DATABASE_URL", "REDIS_URL", "SECRET_KEY")


def free_ports(count: int) -> list[int]:
    """Ports that nobody uses just now."""
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def until(is_so: Callable[[], bool], what: str, patience_seconds: float = PATIENCE_SECONDS) -> None:
    """Waits for something that happens soon."""
    deadline = time.monotonic() + patience_seconds
    while not is_so():
        assert time.monotonic() < deadline, f"not within {patience_seconds} s: {what}"
        time.sleep(0.05)


class Clone:
    """
    The files that git knows, with the packages of the Python that runs the tests.

    Its stack has ports and a `var/` of its own, and sees no setting of the machine that runs the tests.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.flower_port = free_ports(2)
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
            cwd=ROOT,
            capture_output=True,
            check=True,
        )
        for name in filter(None, os.fsdecode(listed.stdout).split("\0")):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, folder / name)
        python = folder / ".venv" / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        python.chmod(0o755)
        subprocess.run(["/bin/sh", "-c", STAMP], cwd=folder, check=True)

    @property
    def var(self) -> Path:
        return self.folder / "var"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def environment(self, **variables: str) -> dict[str, str]:
        """The test's environment without what would change the stack."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(OWN_VARIABLES)}
        ports = {"PORT": str(self.port), "FLOWER_PORT": str(self.flower_port)}
        return {**inherited, **ports, **variables}

    def make(self, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        """Runs make to its end."""
        return subprocess.run(
            ["make", *arguments],
            cwd=self.folder,
            env=self.environment(**variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=COMMAND_TIMEOUT_SECONDS,
        )

    def make_in_foreground(self, *arguments: str, **variables: str) -> "subprocess.Popen[str]":
        """Starts make as a shell does, in a process group of its own; what it says goes to one pipe."""
        return subprocess.Popen(
            ["make", *arguments],
            cwd=self.folder,
            env=self.environment(**variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
        )

    def ask(self, prompt: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        return self.make("ask", f"PROMPT={prompt}", **variables)

    def pids(self) -> dict[str, int]:
        """Process ids by program, as the stack noted them."""
        noted = (self.var / "run").glob("*.pid")
        return {path.stem: int(path.read_text()) for path in noted if path.read_text().strip()}

    def get(self, path: str) -> Any:
        """JSON from the API, asked with the admin's key."""
        key = (self.var / "admin.key").read_text().strip()
        response = requests.get(
            f"{self.url}{path}", headers={"Authorization": f"Bearer {key}"}, timeout=PATIENCE_SECONDS
        )
        response.raise_for_status()
        return response.json()

    def kill_runner(self) -> None:
        """kill -9 of the process runner alone; its processes go on."""
        os.kill(int((self.var / "supervisord.pid").read_text()), signal.SIGKILL)

    def end(self) -> None:
        """Stops the stack and sees to it that nothing is left."""
        pids = self.pids()
        self.make("stop")
        left = [name for name, pid in pids.items() if runs(pid)]
        assert not left, f"still there after make stop: {left}"


def runs(pid: int) -> bool:
    """Whether there is such a process, and not only its remains."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
