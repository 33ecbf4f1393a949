"""
How much an Ollama does at so many requests at once: short and bounded, to find the number that suits it.

Whoever asks for more than Ollama runs at once only waits inside it; how many it ran is seen
in the requests that were between their first token and their end at the same moment.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from ollama_client.cancellation import Cancellation
from ollama_client.errors import OllamaError
from ollama_client.limits import Limits
from ollama_client.transport import OllamaTransport

LEVELS = (1, 2, 4, 8, 16)
PROMPT = "Write one sentence about the sea."
MAX_TOKENS = 48
GOOD_ENOUGH = 0.9  # of the best throughput: more at once only makes each one slower
_LIMITS = Limits(connect_seconds=5.0, first_token_seconds=300.0, total_seconds=330.0)


@dataclass(frozen=True)
class Exchange:
    """One request; instants are seconds of a monotonic clock."""

    sent_at: float
    first_at: float
    ended_at: float
    tokens: int


@dataclass(frozen=True)
class Throughput:
    """
    What came of so many requests at once.

    Attributes:
        ran_at_once: How many of them Ollama ran at the same moment, at most.
        first_token_seconds: Median, waiting inside Ollama included.
    """

    at_once: int
    tokens_per_second: float
    requests_per_second: float
    first_token_seconds: float
    ran_at_once: int


def measure(
    transport: OllamaTransport,
    model: str,
    *,
    levels: Sequence[int] = LEVELS,
    seconds: float = 5.0,
    max_tokens: int = MAX_TOKENS,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Throughput]:
    """
    Ask at each level for so many seconds, and yield what came of it.

    A level takes longer by the request that is under way when its time is over.

    Raises:
        OllamaError: a request failed.
    """
    for at_once in levels:
        ask = partial(_exchange, transport, model, max_tokens, clock)
        yield summarise(at_once, _together(at_once, ask, ends_at=clock() + seconds, clock=clock))


def warm_up(transport: OllamaTransport, model: str) -> float:
    """
    Have the model loaded; how long the first token took, in seconds.

    Raises:
        OllamaError: it can't be.
    """
    exchange = _exchange(transport, model, 1, time.monotonic)
    return exchange.first_at - exchange.sent_at


def summarise(at_once: int, exchanges: Sequence[Exchange]) -> Throughput:
    """The figures of one level; of one exchange at least."""
    took = max(exchange.ended_at for exchange in exchanges) - min(e.sent_at for e in exchanges)
    waits = sorted(exchange.first_at - exchange.sent_at for exchange in exchanges)
    return Throughput(
        at_once=at_once,
        tokens_per_second=sum(exchange.tokens for exchange in exchanges) / took,
        requests_per_second=len(exchanges) / took,
        first_token_seconds=waits[len(waits) // 2],
        ran_at_once=_most_at_once(exchanges),
    )


def recommend(curve: Sequence[Throughput]) -> int:
    """The fewest at once that give GOOD_ENOUGH of the best throughput."""
    best = max(point.tokens_per_second for point in curve)
    return min(point.at_once for point in curve if point.tokens_per_second >= GOOD_ENOUGH * best)


def _most_at_once(exchanges: Sequence[Exchange]) -> int:
    changes = sorted(
        change for exchange in exchanges for change in ((exchange.first_at, 1), (exchange.ended_at, -1))
    )
    running = most = 0
    for _, change in changes:
        running += change
        most = max(most, running)
    return most


def _together(
    at_once: int, ask: Callable[[], Exchange], *, ends_at: float, clock: Callable[[], float]
) -> list[Exchange]:
    """So many threads, each asking again and again, once at least."""
    failed = threading.Event()

    def ask_again_and_again() -> list[Exchange]:
        found: list[Exchange] = []
        try:
            while not failed.is_set() and not (found and clock() >= ends_at):
                found.append(ask())
        except OllamaError:
            failed.set()
            raise
        return found

    with ThreadPoolExecutor(at_once) as pool:
        asking = [pool.submit(ask_again_and_again) for _ in range(at_once)]
        return [exchange for one in asking for exchange in one.result()]


def _exchange(
    transport: OllamaTransport, model: str, max_tokens: int, clock: Callable[[], float]
) -> Exchange:
    sent_at = clock()
    first_at = None
    options = {"num_predict": max_tokens}
    with transport.generate(
        model, PROMPT, limits=_LIMITS, cancellation=Cancellation(), options=options
    ) as stream:
        for _chunk in stream:
            if first_at is None:
                first_at = clock()
        final = stream.final or {}
    ended_at = clock()
    return Exchange(sent_at, first_at or ended_at, ended_at, int(final.get("eval_count") or 0))
