"""Clients of the drop-in routes that go away, or stop reading, on the whole running stack."""

import json
import os
import random
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
import requests

from bench.local_stack import LocalStack, local_stack
from ollama_client.simulator.answers import prompt_sha256

# Sockets, Redis and Ollama; that a cancelled job ends is shown on both databases elsewhere.
pytestmark = pytest.mark.one_database

# In full: PADDOCK_TEST_DISCONNECTS=300 PADDOCK_TEST_STALL_SECONDS=60
DISCONNECTS = int(os.environ.get("PADDOCK_TEST_DISCONNECTS", "30"))
STALL_SECONDS = float(os.environ.get("PADDOCK_TEST_STALL_SECONDS", "6"))
AT_ONCE = 6
SLOTS = 2
MODELS = ("alpha", "beta")
ENDLESS = 100_000
LAZY_TOKENS = 60_000
STOPS_WITHIN_SECONDS = 1.0
PATHS = ("/api/generate", "/api/chat", "/v1/chat/completions", "/v1/completions")
SIMULATOR = ("--models", ",".join(MODELS), "--max-loaded", "1", "--load-seconds", "0.3")


@pytest.fixture(scope="module")
def stack() -> Iterator[LocalStack]:
    """Two slots, room for one model, and loads that take their time."""
    with local_stack(slots=SLOTS, simulator_options=(*SIMULATOR, "--tokens-per-second", "100")) as running:
        yield running


class Client:
    """A client on a bare socket, which can leave at any moment, or stop reading."""

    def __init__(
        self, stack: LocalStack, path: str, body: dict[str, Any], *, buffer_bytes: int = 0, **headers: str
    ) -> None:
        parts = urlsplit(stack.base_url)
        self.socket = socket.socket()
        self.socket.settimeout(30)
        if buffer_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        self.socket.connect((parts.hostname, parts.port))
        sent = json.dumps(body).encode()
        lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(sent)}"]
        lines += [f"{name}: {value}" for name, value in {**stack.headers, **headers}.items()]
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode() + sent)

    def leave(self) -> float:
        """Close; when that was."""
        self.socket.close()
        return time.time()


def asked(path: str, prompt: str, model: str, *, stream: bool, tokens: int) -> tuple[dict[str, Any], str]:
    """A body for this route, and the hash under which the simulator logs it."""
    messages = [{"role": "user", "content": prompt}]
    is_chat = "chat" in path
    body: dict[str, Any] = {"model": model, "stream": stream}
    body |= {"messages": messages} if is_chat else {"prompt": prompt}
    body |= {"options": {"num_predict": tokens}} if path.startswith("/api") else {"max_tokens": tokens}
    return body, prompt_sha256(messages if is_chat else prompt)


def served(stack: LocalStack) -> list[dict[str, Any]]:
    """The simulator's log so far."""
    lines = Path(stack.served_log).read_text(encoding="utf-8").split("\n")[:-1]
    return [json.loads(line) for line in lines]


def jobs_with(stack: LocalStack, status: str) -> list[dict[str, Any]]:
    address = f"{stack.base_url}/api/llm/jobs/?status={status}"
    found: list[dict[str, Any]] = requests.get(address, headers=stack.headers, timeout=10).json()["jobs"]
    return found


def test_a_client_that_leaves_takes_its_generation_along(stack: LocalStack) -> None:
    """At a random moment, queued, loading or streaming: a second later nothing of it is left."""
    chance = random.Random(7)
    plans = [
        (
            chance.choice(PATHS),
            chance.choice(MODELS),
            chance.random() < 0.7,
            chance.choice((0.0, chance.uniform(0, 0.1), chance.uniform(0, 1.5))),
        )
        for _ in range(DISCONNECTS)
    ]
    left_at: dict[str, float] = {}

    def come_and_go(number: int) -> None:
        path, model, stream, pause_seconds = plans[number]
        body, digest = asked(path, f"leaves {number}", model, stream=stream, tokens=ENDLESS)
        client = Client(stack, path, body)
        time.sleep(pause_seconds)
        left_at[digest] = client.leave()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(come_and_go, range(DISCONNECTS)))
    time.sleep(STOPS_WITHIN_SECONDS)
    entries = [entry for entry in served(stack) if entry["prompt_sha256"] in left_at]
    ended = {entry["id"] for entry in entries if entry["event"] == "end"}
    assert {entry["id"] for entry in entries} == ended
    late = [entry["at"] - left_at[entry["prompt_sha256"]] for entry in entries]
    assert max(late, default=0.0) < STOPS_WITHIN_SECONDS
    assert any(entry["tokens"] for entry in entries)
    assert (jobs_with(stack, "processing"), jobs_with(stack, "pending")) == ([], [])
    started = time.monotonic()
    body, _ = asked("/api/generate", "next", MODELS[0], stream=False, tokens=1)
    answer = requests.post(f"{stack.base_url}/api/generate", json=body, headers=stack.headers, timeout=30)
    assert answer.ok and time.monotonic() - started < STOPS_WITHIN_SECONDS


def test_a_job_goes_on_where_its_client_wishes_so(stack: LocalStack) -> None:
    """And its answer is there for whoever comes back."""
    body, _ = asked("/api/generate", "stays", "alpha", stream=True, tokens=30)
    client = Client(stack, "/api/generate", body, **{"X-On-Disconnect": "continue"})
    received = b""
    while b"\r\n\r\n" not in received:
        received += client.socket.recv(65536)
    head = received.split(b"\r\n\r\n")[0].decode()
    job_id = next(line.split(": ")[1] for line in head.split("\r\n") if line.startswith("X-Job-ID"))
    client.leave()
    address = f"{stack.base_url}/api/llm/jobs/{job_id}/?"
    job = requests.get(address, headers={**stack.headers, "Prefer": "wait=20"}, timeout=30).json()
    assert (job["status"], job["output_tokens"]) == ("completed", 30)


@pytest.mark.alone
def test_a_reader_that_stops_holds_up_nobody(stack: LocalStack) -> None:
    """Its own stream waits, its buffer is bounded, and it gets everything once it reads again."""
    web = _web_process(stack)
    fast = {"tokens_per_second": 4_000}
    requests.post(f"{stack.ollama_url}/simulator/control", json=fast, timeout=10)
    usual = _gaps_for(stack, min(STALL_SECONDS, 5.0))
    body, _ = asked("/api/generate", "stalls", "alpha", stream=True, tokens=LAZY_TOKENS)
    with closing(Client(stack, "/api/generate", body, buffer_bytes=65536).socket) as lazy:
        lazy.recv(1)
        memory_before = web.memory_info().rss
        gaps = _gaps_for(stack, STALL_SECONDS)
        # 60,000 pieces, some 6 MB, wait for it in Redis; here there are 1 MB of them at most.
        assert web.memory_info().rss - memory_before < 16 * 2**20
        assert max(gaps) - max(usual) < 0.1
        text = _read_to_end(lazy)
    assert text.count('"done":false') == LAZY_TOKENS
    assert '"done":true' in text


def _gaps_for(stack: LocalStack, seconds: float) -> list[float]:
    """The pauses between the pieces of other streams, one after the other."""
    found: list[float] = []
    stop_at = time.monotonic() + seconds
    while time.monotonic() < stop_at:
        found += _ask_and_time(stack)
    return found


def _ask_and_time(stack: LocalStack) -> list[float]:
    """The seconds between the pieces of another stream."""
    body, _ = asked("/api/chat", "reads on", "alpha", stream=True, tokens=200)
    found = []
    with requests.post(
        f"{stack.base_url}/api/chat", json=body, headers=stack.headers, stream=True, timeout=30
    ) as answer:
        last = time.monotonic()
        for _ in answer.iter_lines():
            found.append(time.monotonic() - last)
            last = time.monotonic()
    return found[1:]


def _web_process(stack: LocalStack) -> psutil.Process:
    port = urlsplit(stack.base_url).port
    parent = next(
        connection.pid
        for connection in psutil.net_connections("tcp")
        if connection.laddr and connection.laddr.port == port and connection.status == "LISTEN"
    )
    process = psutil.Process(parent)
    children = process.children()
    return children[0] if children else process


def _read_to_end(sock: socket.socket) -> str:
    received = bytearray()
    while not received.endswith(b"0\r\n\r\n"):
        part = sock.recv(1 << 20)
        assert part, "the stream was cut"
        received += part
    return received.decode()
