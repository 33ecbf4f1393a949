"""200 submits a second for a minute from 16 keep-alive clients, 1 KB prompts, with the worker consuming."""

import asyncio
import statistics
import time
from collections import Counter

import aiohttp

from bench.local_stack import LocalStack, local_stack

CLIENTS = 16
PER_SECOND = 200
SECONDS = 60
PROMPT = "x" * 1000
MODEL = "llama3.2:1b"


def measure(seconds: int = SECONDS) -> dict[str, float]:
    """
    Submit at a steady rate; a client that is late sends at once.

    Returns:
        Counts by status, latency percentiles in milliseconds, and how many jobs were done meanwhile.
    """
    with local_stack(slots=4) as stack:
        return asyncio.run(_run(stack, seconds))


async def _run(stack: LocalStack, seconds: int) -> dict[str, float]:
    statuses: Counter[int] = Counter()
    times: list[float] = []
    started = time.perf_counter()
    async with aiohttp.ClientSession(
        base_url=stack.base_url, headers=stack.headers, connector=aiohttp.TCPConnector(limit=CLIENTS)
    ) as session:
        await asyncio.gather(
            *(_client(session, number, seconds, statuses, times) for number in range(CLIENTS))
        )
        took = time.perf_counter() - started
        done = await _completed(session)
    ordered = sorted(times)
    return {
        "submits": len(ordered),
        "errors": sum(count for status, count in statuses.items() if status != 202),
        "submits_per_second": len(ordered) / took,
        "p50_ms": statistics.median(ordered),
        "p99_ms": ordered[int(len(ordered) * 0.99)],
        "max_ms": ordered[-1],
        "completed_meanwhile": done,
    }


async def _client(
    session: aiohttp.ClientSession, number: int, seconds: int, statuses: Counter[int], times: list[float]
) -> None:
    every = CLIENTS / PER_SECOND
    start = time.perf_counter() + every * number / CLIENTS
    for turn in range(int(seconds / every)):
        await asyncio.sleep(max(0.0, start + turn * every - time.perf_counter()))
        sent = time.perf_counter()
        body = {"model": MODEL, "prompt": f"{number} {turn} {PROMPT}", "options": {"num_predict": 4}}
        async with session.post("/api/llm/jobs/submit/", json=body) as response:
            await response.read()
            statuses[response.status] += 1
        times.append((time.perf_counter() - sent) * 1000)


async def _completed(session: aiohttp.ClientSession) -> int:
    """How many of the jobs are completed by now, read from the list's pages."""
    done, cursor = 0, None
    while True:
        parameters = {"status": "completed", "limit": "200", **({"cursor": cursor} if cursor else {})}
        async with session.get("/api/llm/jobs/", params=parameters) as response:
            page = await response.json()
        done += len(page["jobs"])
        cursor = page["next_cursor"]
        if not cursor:
            return done
