"""What the queue adds to OpenAI's chat completions over asking the simulator directly; eight at once."""

import http.client
import json
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

from bench.local_stack import LocalStack, local_stack

ROUNDS = 100
WARM_UP = 10
AT_ONCE = 8
SECONDS = 5.0
MODEL = "llama3.2:1b"
PATH = "/v1/chat/completions"


def measure() -> dict[str, float]:
    """
    One token, directly and through Paddock by turns; then as many as go with 16 tokens each.

    Returns:
        Medians and the added median in milliseconds; answers a second.
    """
    with local_stack(slots=1) as stack:
        figures = _added(stack)
    with local_stack(slots=AT_ONCE) as stack:
        return {**figures, "requests_per_second": _throughput(stack)}


def _added(stack: LocalStack) -> dict[str, float]:
    direct_line, line = _line(stack.ollama_url), _line(stack.base_url)
    direct, through = [], []
    for number in range(ROUNDS + WARM_UP):
        first = _ask(direct_line, {}, f"direct {number}", 1)
        second = _ask(line, stack.headers, f"through {number}", 1)
        if number >= WARM_UP:
            direct.append(first)
            through.append(second)
        time.sleep(0.05)
    return {
        "direct_median_ms": statistics.median(direct),
        "through_median_ms": statistics.median(through),
        "through_p95_ms": statistics.quantiles(through, n=20)[-1],
        "added_median_ms": statistics.median(through) - statistics.median(direct),
    }


def _throughput(stack: LocalStack) -> float:
    """Each client asks again as soon as it has its answer."""

    def client(number: int, seconds: float) -> int:
        line, count, ends_at = _line(stack.base_url), 0, time.perf_counter() + seconds
        while time.perf_counter() < ends_at:
            _ask(line, stack.headers, f"{number} {count}", 16)
            count += 1
        return count

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda number: client(number, 1.0), range(AT_ONCE)))
        started = time.perf_counter()
        counts = list(pool.map(lambda number: client(number, SECONDS), range(AT_ONCE)))
    return sum(counts) / (time.perf_counter() - started)


def _line(url: str) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urlsplit(url).netloc)


def _ask(line: http.client.HTTPConnection, headers: dict[str, str], prompt: str, tokens: int) -> float:
    messages = [{"role": "user", "content": prompt}]
    body: dict[str, Any] = {"model": MODEL, "messages": messages, "max_tokens": tokens}
    started = time.perf_counter()
    line.request("POST", PATH, json.dumps(body), {**headers, "Content-Type": "application/json"})
    response = line.getresponse()
    answer = json.loads(response.read())
    if response.status != 200:
        raise RuntimeError(answer)
    return (time.perf_counter() - started) * 1000
