"""Added time from submit to the first token, on an idle system, over asking the simulator directly."""

import http.client
import json
import statistics
import time
from urllib.parse import urlsplit

from bench.local_stack import local_stack

ROUNDS = 100
MODEL = "llama3.2:1b"


def measure() -> dict[str, float]:
    """
    Ask directly and through Paddock by turns.

    Returns:
        Medians, 95th percentiles and the added median, in milliseconds.
    """
    with local_stack(slots=1) as stack:
        direct_line = http.client.HTTPConnection(urlsplit(stack.ollama_url).netloc)
        line = http.client.HTTPConnection(urlsplit(stack.base_url).netloc)
        direct, through = [], []
        for round_number in range(ROUNDS + 5):
            first = _ask_directly(direct_line, f"direct {round_number}")
            second = _ask_through(line, stack.headers, f"through {round_number}")
            if round_number >= 5:  # connections and caches are warm
                direct.append(first)
                through.append(second)
            time.sleep(0.05)
    added = statistics.median(through) - statistics.median(direct)
    return {
        "direct_median_ms": statistics.median(direct),
        "through_median_ms": statistics.median(through),
        "through_p95_ms": statistics.quantiles(through, n=20)[-1],
        "added_median_ms": added,
    }


def _ask_directly(line: http.client.HTTPConnection, prompt: str) -> float:
    body = json.dumps({"model": MODEL, "prompt": prompt, "options": {"num_predict": 8}})
    started = time.perf_counter()
    line.request("POST", "/api/generate", body, {"Content-Type": "application/json"})
    response = line.getresponse()
    response.readline()
    took = (time.perf_counter() - started) * 1000
    response.read()
    return took


def _ask_through(line: http.client.HTTPConnection, headers: dict[str, str], prompt: str) -> float:
    body = json.dumps({"model": MODEL, "prompt": prompt, "options": {"num_predict": 8}})
    started = time.perf_counter()
    line.request("POST", "/api/llm/jobs/submit/", body, {**headers, "Content-Type": "application/json"})
    job = json.loads(line.getresponse().read())
    line.request("GET", job["urls"]["events"], headers=headers)
    response = line.getresponse()
    while not response.readline().startswith(b"event: token"):
        if response.isclosed():
            raise RuntimeError("the stream ended without a token")
    took = (time.perf_counter() - started) * 1000
    response.read()
    return took
