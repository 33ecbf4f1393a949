"""
How many jobs a key may submit in a minute: counted in Redis for all processes, and in
this process's memory while Redis is away.

The window slides: a key can't submit twice its limit around the turn of a minute.
"""

import math
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

import redis
from flask import Flask, Response, after_this_request, current_app

from api.database import get_database
from api.late import get_resources
from jobs.errors import TooManyRequests
from jobs.usage import tokens_used

if TYPE_CHECKING:
    from limits.strategies import RateLimiter

PREFIX = "paddock:limits"
WINDOW_SECONDS = 60
_REDIS_PAUSE_SECONDS = 5.0  # how long memory counts after Redis did not answer
_EXTENSION = "paddock.rate_limits"


class Admission(NamedTuple):
    """Whether a submission is admitted, how many more are, and when there is room for another."""

    admitted: bool
    remaining: int
    reset_seconds: float


class RateLimits:
    """Counts submissions of keys that have a limit."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._in_redis: RateLimiter | None = None
        self._in_memory: RateLimiter | None = None
        self._memory_until = float("-inf")

    def admit(self, key_id: str, per_minute: int) -> Admission:
        """Count a submission, unless it is one too many."""
        if time.monotonic() >= self._memory_until:
            try:
                return _hit(self._redis_limiter(), key_id, per_minute)
            except redis.RedisError:
                self._memory_until = time.monotonic() + _REDIS_PAUSE_SECONDS
        return _hit(self._memory_limiter(), key_id, per_minute)

    def _redis_limiter(self) -> "RateLimiter":
        with self._lock:
            if self._in_redis is None:
                from limits.storage import RedisStorage  # here, since few keys have a limit
                from limits.strategies import SlidingWindowCounterRateLimiter

                pool = get_resources().redis.connection_pool
                storage = RedisStorage("redis://", connection_pool=pool, key_prefix=PREFIX)
                self._in_redis = SlidingWindowCounterRateLimiter(storage)
            return self._in_redis

    def _memory_limiter(self) -> "RateLimiter":
        with self._lock:
            if self._in_memory is None:
                from limits.storage import MemoryStorage
                from limits.strategies import SlidingWindowCounterRateLimiter

                self._in_memory = SlidingWindowCounterRateLimiter(MemoryStorage())
            return self._in_memory


def _hit(limiter: "RateLimiter", key_id: str, per_minute: int) -> Admission:
    from limits import RateLimitItemPerMinute

    item = RateLimitItemPerMinute(per_minute)
    admitted = limiter.hit(item, key_id)
    window = limiter.get_window_stats(item, key_id)
    return Admission(admitted, window.remaining, max(0.0, window.reset_time - time.time()))


def check_rate(key_id: str, per_minute: int) -> None:
    """
    Count a submission; the response says in RateLimit headers how many more there may be.

    Raises:
        TooManyRequests: the key has had its jobs of this minute.
    """
    limits: RateLimits = current_app.extensions[_EXTENSION]
    admission = limits.admit(key_id, per_minute)
    reset = max(1, math.ceil(admission.reset_seconds))
    _tell("key", per_minute, admission.remaining, reset)
    if not admission.admitted:
        raise TooManyRequests(
            f"This key may submit {per_minute} jobs a minute.", retry_after_seconds=float(reset)
        )


def check_tokens(key_id: str, per_minute: int) -> None:
    """
    Look what the key's jobs have used; the response says what is left.

    Counted from the jobs themselves, so it is exact, and the same in every process with or
    without Redis. What runs now counts when it has ended: nobody knows its length before.

    Raises:
        TooManyRequests: the tokens of this minute are used up.
    """
    used, oldest_seconds_ago = tokens_used(get_database(), key_id, seconds=WINDOW_SECONDS)
    reset = max(1, math.ceil(WINDOW_SECONDS - oldest_seconds_ago))
    _tell("tokens", per_minute, max(0, per_minute - used), reset)
    if used >= per_minute:
        raise TooManyRequests(
            f"This key's jobs may use {per_minute} tokens a minute.", retry_after_seconds=float(reset)
        )


def _tell(policy: str, quota: int, remaining: int, reset_seconds: int) -> None:
    """As draft-ietf-httpapi-ratelimit-headers has it; a key may have several policies."""

    @after_this_request
    def tell(response: Response) -> Response:
        response.headers.add("RateLimit-Policy", f'"{policy}";q={quota};w={WINDOW_SECONDS}')
        response.headers.add("RateLimit", f'"{policy}";r={remaining};t={reset_seconds}')
        return response


def init_rate_limits(app: Flask) -> None:
    app.extensions[_EXTENSION] = RateLimits()
