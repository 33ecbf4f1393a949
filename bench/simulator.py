"""How many short requests a second the simulated Ollama answers: other figures must not measure it."""

import asyncio
import json
import time

from tests.simulator_process import start_simulator

CLIENTS = 8
SECONDS = 3.0
PARALLEL = 8
TOKENS = 4


def measure(seconds: float = SECONDS) -> dict[str, float]:
    """
    Ask from keep-alive connections of one process, each as fast as its answers come.

    Returns:
        Answers per second to /api/generate, in one piece and streamed, and to /api/version.
    """
    with start_simulator("--parallel", str(PARALLEL)) as ollama:
        return {
            "generate_per_second": asyncio.run(_run(ollama.port, seconds, _generate(stream=False))),
            "streams_per_second": asyncio.run(_run(ollama.port, seconds, _generate(stream=True))),
            "versions_per_second": asyncio.run(
                _run(ollama.port, seconds / 3, b"GET /api/version HTTP/1.1\r\nHost: localhost\r\n\r\n")
            ),
        }


def _generate(*, stream: bool) -> bytes:
    options = {"num_predict": TOKENS}
    body = {"model": "llama3.2:1b", "prompt": "Why is the sky blue?", "stream": stream, "options": options}
    sent = json.dumps(body).encode()
    return b"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s" % (
        len(sent),
        sent,
    )


async def _run(port: int, seconds: float, request: bytes) -> float:
    deadline = time.perf_counter() + seconds
    started = time.perf_counter()
    counts = await asyncio.gather(*(_client(port, deadline, request) for _ in range(CLIENTS)))
    return sum(counts) / (time.perf_counter() - started)


async def _client(port: int, deadline: float, request: bytes) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    count = 0
    while time.perf_counter() < deadline:
        writer.write(request)
        await _read_answer(reader)
        count += 1
    writer.close()
    return count


async def _read_answer(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(head.decode())
    if b"Content-Length: " in head:
        await reader.readexactly(int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0]))
    else:
        await reader.readuntil(b"0\r\n\r\n")


if __name__ == "__main__":
    for name, figure in measure().items():
        print(f"{name:24} {figure:10.0f}")
