"""Estimates: how far off `estimated_wait` is, for jobs of one model and of two in turns."""

import random
import statistics
import time
from datetime import datetime
from typing import Any

import requests

from bench.local_stack import LocalStack, local_stack

MODELS = ("alpha", "beta")
SLOTS = 4
LOAD_SECONDS = 1.0
TOKENS_PER_SECOND = 100.0
TOKENS = range(20, 120)  # 0.2 to 1.2 s
LEARNED = 20  # jobs of each model whose pace is known before
JOBS = 120
LEAST_WAIT_SECONDS = 1.0  # below it a relative error says nothing
GIVE_UP_SECONDS = 120.0
_OPTIONS = (
    *("--models", ",".join(MODELS), "--max-loaded", "1", "--load-seconds", str(LOAD_SECONDS)),
    *("--tokens-per-second", str(TOKENS_PER_SECOND)),
)


def measure() -> dict[str, float]:
    """
    Two bursts on one stack, all estimates read right after each; about two minutes.

    Returns:
        For each burst the median error of the waits above a second, in seconds and as a share of the
        wait, and how many of 100 waits were within the range that was told.
    """
    with local_stack(slots=SLOTS, simulator_options=_OPTIONS) as stack:
        made = random.Random(6)
        _wait(stack, [_submit(stack, model, made) for model in MODELS for _ in range(LEARNED)])
        figures = _burst(stack, [MODELS[0]] * JOBS, made, "one_model")
        mixed = [made.choice(MODELS) for _ in range(JOBS)]
        return figures | _burst(stack, mixed, made, "two_models")


def _burst(stack: LocalStack, models: list[str], made: random.Random, name: str) -> dict[str, float]:
    job_ids = [_submit(stack, model, made) for model in models]
    time.sleep(1.1)  # the next look at the present sees all of them
    told = {}
    for job_id in job_ids:
        asked_at = time.time()
        wait = _get(stack, f"/api/llm/jobs/{job_id}/why/")["estimated_wait"]
        if wait["seconds"] is not None:
            told[job_id] = (asked_at, wait)
    jobs = _wait(stack, list(told))
    errors, shares, within = [], [], 0
    for job_id, (asked_at, wait) in told.items():
        waited = datetime.fromisoformat(jobs[job_id]["started_at"]).timestamp() - asked_at
        within += wait["low"] - 0.2 <= waited <= wait["high"] + 0.2  # a look is up to a second old
        if waited >= LEAST_WAIT_SECONDS:
            errors.append(abs(wait["seconds"] - waited))
            shares.append(abs(wait["seconds"] - waited) / waited)
    return {
        f"{name}_estimates": float(len(told)),
        f"{name}_median_error_s": statistics.median(errors),
        f"{name}_median_error_percent": 100 * statistics.median(shares),
        f"{name}_p90_error_percent": 100 * statistics.quantiles(shares, n=10)[-1],
        f"{name}_within_range_percent": 100 * within / len(told),
    }


def _submit(stack: LocalStack, model: str, made: random.Random) -> str:
    options = {"num_predict": made.choice(TOKENS)}
    body = {"prompt": "x", "model": model, "options": options}
    response = requests.post(
        f"{stack.base_url}/api/llm/jobs/submit/", json=body, headers=stack.headers, timeout=30
    )
    response.raise_for_status()
    return str(response.json()["job_id"])


def _wait(stack: LocalStack, job_ids: list[str]) -> dict[str, dict[str, Any]]:
    """The jobs once they are complete."""
    ends_at = time.monotonic() + GIVE_UP_SECONDS
    found = {}
    for job_id in job_ids:
        while not (job := _get(stack, f"/api/llm/jobs/{job_id}/status/?wait=30"))["is_complete"]:
            if time.monotonic() > ends_at:
                raise TimeoutError(f"job {job_id} is still {job['status']}")
        found[job_id] = job
    return found


def _get(stack: LocalStack, path: str) -> dict[str, Any]:
    response = requests.get(stack.base_url + path, headers=stack.headers, timeout=60)
    response.raise_for_status()
    answer: dict[str, Any] = response.json()
    return answer
