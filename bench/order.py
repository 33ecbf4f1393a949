"""Order: two models in turns, one slow to load, with room for one; what raw Ollama makes of the same jobs."""

import asyncio
import itertools
import json
import random
import statistics
import time
from collections.abc import Iterable
from typing import Any

import aiohttp
import requests

from bench.local_stack import LocalStack, local_stack
from jobs.scheduling.overlap import CAUTIOUS_SECONDS

MODELS = ("alpha", "beta")
SLOTS = 4
LOAD_SECONDS = 1.0
TOKENS_PER_SECOND = 100.0
JOBS = 200  # of each model
SHORT_TOKENS = 5  # 50 ms
LONG_TOKENS = range(100, 200)  # 1 to 2 s
DIRECT_JOBS = 20  # of each model: every second one costs a load
AFFINITY_SECONDS = 10.0  # of the run with the endless model: ten loads, the least that a turn lasts
CLIENTS = 8
GIVE_UP_SECONDS = 180.0
_OPTIONS = (
    *("--models", ",".join(MODELS), "--max-loaded", "1", "--load-seconds", str(LOAD_SECONDS)),
    *("--tokens-per-second", str(TOKENS_PER_SECOND)),
)

Job = dict[str, Any]


def measure() -> dict[str, float]:
    """
    Five runs on two stacks; about six minutes.

    Returns:
        Seconds and loads of sorted and of random order, and of fewer jobs sent to the simulator directly;
        the longest wait beside a model that never stops; slots left idle; how late urgent jobs start.
    """
    with local_stack(slots=SLOTS, simulator_options=_OPTIONS) as stack:
        figures = _compare_orders(stack)
        figures |= _use_directly(stack)
        figures |= _measure_idle(stack)
        figures |= _measure_urgent(stack)
    settings = {"PADDOCK_AFFINITY_SECONDS": str(AFFINITY_SECONDS)}
    with local_stack(slots=SLOTS, simulator_options=_OPTIONS, settings=settings) as stack:
        figures |= _measure_starvation(stack)
    return figures


def _compare_orders(stack: LocalStack) -> dict[str, float]:
    ordered = [_job(model, SHORT_TOKENS) for model in MODELS for _ in range(JOBS)]
    mixed = list(ordered)
    random.Random(6).shuffle(mixed)
    _run(stack, [_job(MODELS[0], 1) for _ in range(SLOTS)])  # connections and caches are warm
    _unload(stack)
    in_order = _run(stack, ordered)
    _unload(stack)
    at_random = _run(stack, mixed)
    return {
        "sorted_seconds": _span(in_order),
        "random_seconds": _span(at_random),
        "random_over_sorted": _span(at_random) / _span(in_order),
        "sorted_loads": _loads(in_order),
        "random_loads": _loads(at_random),
    }


def _use_directly(stack: LocalStack) -> dict[str, float]:
    """As many clients as slots, each asking for what comes next in a random order."""
    mixed = [model for model in MODELS for _ in range(DIRECT_JOBS)]
    random.Random(6).shuffle(mixed)
    before = len(_served(stack))
    started = time.perf_counter()
    asyncio.run(_ask_directly(stack, mixed))
    took = time.perf_counter() - started
    return {
        "direct_jobs": len(mixed),
        "direct_seconds": took,
        "direct_loads": _loads(_served(stack)[before:]),
    }


async def _ask_directly(stack: LocalStack, models: list[str]) -> None:
    remaining = iter(models)

    async def client(session: aiohttp.ClientSession) -> None:
        for model in remaining:
            body = {"model": model, "prompt": "x", "stream": False, "options": {"num_predict": SHORT_TOKENS}}
            async with session.post("/api/generate", json=body) as response:
                await response.read()

    async with aiohttp.ClientSession(base_url=stack.ollama_url) as session:
        await asyncio.gather(*(client(session) for _ in range(SLOTS)))


def _measure_idle(stack: LocalStack) -> dict[str, float]:
    """The share of the slots' time in which one was free although a job of the loaded model waited."""
    short = [_job(MODELS[0], SHORT_TOKENS) for _ in range(2 * JOBS)]
    # Submits take as much of the processors as they get: once all are there, and once beside them.
    _pause(stack, "pause")
    before = len(_served(stack))
    job_ids = _submit(stack, short)
    _pause(stack, "resume")
    _wait(stack, job_ids)
    alone = _served(stack)[before:]
    beside = _run(stack, short)
    lengths = random.Random(6).choices(LONG_TOKENS, k=SLOTS * 10)
    long = _run(stack, [_job(MODELS[0], tokens) for tokens in lengths])
    return {
        "idle_percent_50_ms_jobs": _idle_percent(alone, 2 * JOBS),
        "idle_percent_50_ms_jobs_beside_submits": _idle_percent(beside, 2 * JOBS),
        "idle_percent_1_to_2_s_jobs": _idle_percent(long, SLOTS * 10),
    }


def _measure_starvation(stack: LocalStack, rounds: int = 3) -> dict[str, float]:
    """Alpha's queue never empties; beta gets a job now and then."""
    sent = [_submit(stack, [_job(MODELS[0], SHORT_TOKENS) for _ in range(JOBS * 2)])]
    rare: list[str] = []
    asked_at: dict[str, float] = {}
    ends_at = time.monotonic() + rounds * (AFFINITY_SECONDS + 3)
    next_rare = time.monotonic() + 1
    while time.monotonic() < ends_at:
        sent.append(_submit(stack, [_job(MODELS[0], SHORT_TOKENS) for _ in range(20)]))
        if time.monotonic() >= next_rare:
            at = time.time()
            (job_id,) = _submit(stack, [_job(MODELS[1], SHORT_TOKENS)])
            rare.append(job_id)
            asked_at[job_id] = at
            next_rare += 2.5
        time.sleep(0.2)
    _wait(stack, list(itertools.chain(rare, *sent)))
    started = {line["job"]: line["at"] for line in _served(stack) if line["event"] == "start"}
    waits = [started[job_id] - asked_at[job_id] for job_id in rare]
    return {
        "starved_longest_wait_seconds": max(waits),
        "starved_allowed_seconds": AFFINITY_SECONDS + LOAD_SECONDS + SHORT_TOKENS / TOKENS_PER_SECOND,
    }


def _measure_urgent(stack: LocalStack) -> dict[str, float]:
    """
    At least 500 in the background, and urgent ones: how long after the next slot is free each starts.

    Among jobs of 50 ms, some of which wait inside Ollama, four urgent ones a second; among jobs of 300 ms
    one a second; and four a second among jobs of 50 ms of which eight in a row last 1 s now and then.
    """
    time.sleep(CAUTIOUS_SECONDS)  # since the long jobs before, none waits inside Ollama
    short, medium = [SHORT_TOKENS] * 1300, [30] * 500
    mixed = ([SHORT_TOKENS] * 42 + [100] * 8) * 20
    return {
        **_urgent_among(stack, short, SHORT_TOKENS, every_seconds=0.25, count=40, name="_among_50_ms_jobs"),
        **_urgent_among(stack, medium, 30, every_seconds=1.0, count=20, name=""),
        **_urgent_among(stack, mixed, SHORT_TOKENS, every_seconds=0.25, count=200, name="_among_mixed_jobs"),
    }


def _urgent_among(
    stack: LocalStack, background: list[int], tokens: int, *, every_seconds: float, count: int, name: str
) -> dict[str, float]:
    waiting = _submit(stack, [_job(MODELS[0], length, priority="batch") for length in background])
    asked_at: dict[str, float] = {}
    for _ in range(count):
        (job_id,) = _submit(stack, [_job(MODELS[0], tokens, priority="urgent")])
        asked_at[job_id] = time.time()
        time.sleep(every_seconds)
    _wait(stack, [*asked_at, *waiting])
    lines = _served(stack)
    # Of those that had a slot: a request may also have been taken back while it waited for one.
    ends = sorted(line["at"] for line in lines if line["event"] == "end" and line["slot"] is not None)
    started = {line["job"]: line["at"] for line in lines if line["event"] == "start"}
    late = []
    for job_id, at in asked_at.items():
        free_at = next(end for end in ends if end >= at)
        late.append((started[job_id] - free_at) * 1000)
    ordered = sorted(late)
    return {
        f"urgent{name}_late_median_ms": statistics.median(ordered),
        f"urgent{name}_late_p99_ms": ordered[int(len(ordered) * 0.99)],
    }


# --- jobs and the simulator's log -------------------------------------------------------------------


def _job(model: str, tokens: int, **more: Any) -> Job:
    return {"model": model, "prompt": "x", "options": {"num_predict": tokens}, **more}


def _run(stack: LocalStack, jobs: list[Job]) -> list[dict[str, Any]]:
    """Submit them, wait for the last one, and answer the simulator's lines about them."""
    before = len(_served(stack))
    _wait(stack, _submit(stack, jobs))
    return _served(stack)[before:]


def _submit(stack: LocalStack, jobs: Iterable[Job]) -> list[str]:
    """In their order, from several clients."""
    return asyncio.run(_submit_all(stack, list(jobs)))


async def _submit_all(stack: LocalStack, jobs: list[Job]) -> list[str]:
    remaining = iter(enumerate(jobs))
    ids = [""] * len(jobs)

    async def client(session: aiohttp.ClientSession) -> None:
        for number, job in remaining:
            async with session.post("/api/llm/jobs/submit/", json=job) as response:
                response.raise_for_status()
                ids[number] = (await response.json())["job_id"]

    async with aiohttp.ClientSession(base_url=stack.base_url, headers=stack.headers) as session:
        await asyncio.gather(*(client(session) for _ in range(min(CLIENTS, len(jobs)))))
    return ids


def _wait(stack: LocalStack, job_ids: list[str]) -> None:
    """Until the simulator has answered all of them."""
    ends_at = time.monotonic() + GIVE_UP_SECONDS
    missing = set(job_ids)
    while missing:
        missing -= {line["job"] for line in _served(stack) if line["event"] == "end"}
        if time.monotonic() > ends_at:
            raise TimeoutError(f"{len(missing)} jobs are not done after {GIVE_UP_SECONDS:.0f} s")
        time.sleep(0.1)
    # The worker has still to say so; the next run begins with all slots free.
    for job_id in job_ids[-SLOTS:]:
        url = f"{stack.base_url}/api/llm/jobs/{job_id}/status/?wait=10"
        requests.get(url, headers=stack.headers, timeout=20).raise_for_status()


def _pause(stack: LocalStack, action: str) -> None:
    """Pause or resume the first model's queue."""
    url = f"{stack.base_url}/api/admin/queues/{MODELS[0]}/{action}/"
    requests.post(url, headers=stack.headers, timeout=5).raise_for_status()


def _unload(stack: LocalStack) -> None:
    """Nothing is loaded: each run pays for each of its models."""
    requests.post(
        f"{stack.ollama_url}/simulator/control", json={"unload": True}, timeout=5
    ).raise_for_status()


def _served(stack: LocalStack) -> list[dict[str, Any]]:
    lines = stack.served_log.read_text().split("\n")[:-1]
    return [json.loads(line) for line in lines]


def _span(lines: list[dict[str, Any]]) -> float:
    """From the first job's arrival in Ollama to the last one's end."""
    first: float = min(line["at"] - line["queued_seconds"] - line["load_seconds"] for line in lines)
    last: float = max(line["at"] for line in lines)
    return last - first


def _loads(lines: list[dict[str, Any]]) -> int:
    return sum(1 for line in lines if line["event"] == "start" and line["load_seconds"] > 0)


def _idle_percent(lines: list[dict[str, Any]], jobs: int) -> float:
    """Between the first start and the moment from which on fewer jobs than slots were left to start."""
    starts = sorted(line["at"] for line in lines if line["event"] == "start")
    begins, ends = starts[SLOTS - 1], starts[jobs - SLOTS]
    spans: dict[int, list[float]] = {}
    for line in lines:
        if line["slot"] is not None:  # what was taken back while it waited for one has none
            spans.setdefault(line["id"], []).append(line["at"])
    busy: float = sum(max(0.0, min(end, ends) - max(start, begins)) for start, end in spans.values())
    span: float = SLOTS * (ends - begins)
    return 100.0 * (1 - busy / span)
