"""Fairness: one key floods a model, another sends a job each second; about five minutes."""

import asyncio
import json
import statistics
import threading
import time
from datetime import datetime
from typing import Any

import aiohttp
import redis
import requests

from bench.local_stack import LocalStack, local_stack
from tasks.queue_lists import list_names, queue_name

MODEL = "alpha"
SLOTS = 4
TOKENS = 20
FLOOD = 5000
JOB_SECONDS = 1.0
SETTLED_SECONDS = 150  # of one-second jobs
MEASURED = 60  # light jobs, with the flood and without
CLIENTS = 8


def measure(job_seconds: float = JOB_SECONDS) -> dict[str, float]:
    """
    The light key sends a job each `job_seconds`: alone, and then beside the flood.

    Args:
        job_seconds: Everything is scaled by it.

    Returns:
        The light key's turnaround in seconds, how fast the flood was taken, and what Redis held of it.
    """
    speed = TOKENS / job_seconds
    options = ("--models", MODEL, "--tokens-per-second", str(speed))
    with local_stack(slots=SLOTS, simulator_options=options) as stack:
        light = _issue_key(stack)
        _send(stack, light, job_seconds, 3)  # connections and caches are warm
        alone = _send(stack, light, job_seconds, MEASURED // 2)
        began = time.perf_counter()
        flood = threading.Thread(target=lambda: asyncio.run(_flood(stack)))
        flood.start()
        flood.join()
        took = time.perf_counter() - began
        lined_up_alone = _lined_up(stack)
        settled = max(0.0, SETTLED_SECONDS * job_seconds - took)
        _send(stack, light, job_seconds, int(settled / job_seconds))
        beside = _send(stack, light, job_seconds, MEASURED)
        lined_up_beside = _lined_up(stack)
    return {
        "alone_median_seconds": statistics.median(alone),
        "alone_p95_seconds": _p95(alone),
        "beside_median_seconds": statistics.median(beside),
        "beside_p95_seconds": _p95(beside),
        "beside_over_alone_p95": _p95(beside) / _p95(alone),
        "flood_submits_per_second": FLOOD / took,
        "lined_up_alone": lined_up_alone,
        "lined_up_beside": lined_up_beside,
    }


def _issue_key(stack: LocalStack) -> dict[str, str]:
    answer = requests.post(
        f"{stack.base_url}/api/admin/keys/", json={"name": "light"}, headers=stack.headers, timeout=10
    )
    answer.raise_for_status()
    return {"Authorization": f"Bearer {answer.json()['key']}"}


def _job(name: str) -> dict[str, Any]:
    return {"model": MODEL, "prompt": name, "options": {"num_predict": TOKENS}}


async def _flood(stack: LocalStack) -> None:
    """As fast as they are accepted."""
    remaining = iter(range(FLOOD))

    async def client(session: aiohttp.ClientSession) -> None:
        for number in remaining:
            async with session.post("/api/llm/jobs/submit/", json=_job(f"flood {number}")) as response:
                response.raise_for_status()
                await response.read()

    async with aiohttp.ClientSession(base_url=stack.base_url, headers=stack.headers) as session:
        await asyncio.gather(*(client(session) for _ in range(CLIENTS)))


def _send(stack: LocalStack, headers: dict[str, str], every_seconds: float, count: int) -> list[float]:
    """The turnaround of so many jobs, sent at a steady rate whether or not the ones before are done."""
    session = requests.Session()
    session.headers.update(headers)
    urls = []
    began = time.monotonic()
    for number in range(count):
        time.sleep(max(0.0, began + number * every_seconds - time.monotonic()))
        answer = session.post(f"{stack.base_url}/api/llm/jobs/submit/", json=_job("light"), timeout=30)
        answer.raise_for_status()
        urls.append(f"{stack.base_url}{answer.json()['urls']['status']}")
    return [_turnaround(session, url) for url in urls]


def _turnaround(session: requests.Session, url: str) -> float:
    ends_at = time.monotonic() + 300
    while time.monotonic() < ends_at:
        job = session.get(url, params={"wait": "20"}, timeout=40).json()
        if job["status"] == "completed":
            ended, sent = (datetime.fromisoformat(job[name]) for name in ("completed_at", "created_at"))
            return (ended - sent).total_seconds()
    raise TimeoutError(json.dumps(job))


def _lined_up(stack: LocalStack) -> int:
    with redis.Redis(unix_socket_path=str(stack.valkey_socket)) as client:
        return sum(int(client.llen(name)) for name in list_names(queue_name(MODEL)))


def _p95(times: list[float]) -> float:
    return statistics.quantiles(times, n=20)[-1]
