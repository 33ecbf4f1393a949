"""Counting submissions in Redis, fake and real, and without it."""

from typing import Any

import pytest
import redis

from api import rate_limits
from api.rate_limits import RateLimits


class Resources:
    """What the limits ask for."""

    def __init__(self, client: Any) -> None:
        self.redis = client


def admitted(limits: RateLimits, times: int) -> int:
    return sum(limits.admit("k1", 3).admitted for _ in range(times))


def test_processes_share_a_count(redis_client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes together admit as many as the limit says."""
    monkeypatch.setattr(rate_limits, "get_resources", lambda: Resources(redis_client))
    first, second = RateLimits(), RateLimits()
    assert admitted(first, 2) + admitted(second, 5) == 3
    refused = first.admit("k1", 3)
    assert (refused.admitted, refused.remaining) == (False, 0)
    assert 0 < refused.reset_seconds <= 60
    assert first.admit("k2", 3).remaining == 2


def test_memory_counts_while_redis_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Redis each process admits the limit, and asks Redis again only after a pause."""
    asked: list[int] = []

    def away() -> Resources:
        asked.append(1)
        return Resources(redis.Redis.from_url("unix:///tmp/no-such.sock"))

    monkeypatch.setattr(rate_limits, "get_resources", away)
    assert admitted(RateLimits(), 5) == 3
    assert len(asked) == 1
