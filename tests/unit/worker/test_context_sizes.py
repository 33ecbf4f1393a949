"""With which context models are loaded, as the keeper has reported it."""

from types import SimpleNamespace
from typing import Any

import pytest
import redis

from jobs.workers import InstalledModel, WorkerReport, report_worker
from worker import context_sizes
from worker.context_sizes import FRESH_SECONDS, ContextSizes


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    made = SimpleNamespace(now=100.0)
    made.monotonic = lambda: made.now
    monkeypatch.setattr(context_sizes, "time", made)
    return made


def _report(client: Any, num_ctx: int | None) -> None:
    models = [InstalledModel("alpha", num_ctx=num_ctx)]
    report_worker(client, WorkerReport("w1@gpu", "h", "u", True, 1, 0.0, models=models))


def test_sizes_are_read_at_most_once_a_second(redis_client: Any, clock: SimpleNamespace) -> None:
    """And of this worker's Ollama only."""
    sizes = ContextSizes(redis_client, "w1@gpu")
    _report(redis_client, 4096)
    assert (sizes.of("alpha"), sizes.of("beta")) == (4096, None)
    _report(redis_client, 8192)
    assert sizes.of("alpha") == 4096
    clock.now += FRESH_SECONDS + 0.1
    assert sizes.of("alpha") == 8192
    assert ContextSizes(redis_client, "other@gpu").of("alpha") is None


def test_without_redis_the_last_sizes_hold(
    redis_client: Any, clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job is not held up for it."""
    sizes = ContextSizes(redis_client, "w1@gpu")
    _report(redis_client, 4096)
    sizes.of("alpha")
    clock.now += FRESH_SECONDS + 0.1

    def away(*_: Any) -> None:
        raise redis.ConnectionError

    monkeypatch.setattr(redis_client, "hget", away)
    assert sizes.of("alpha") == 4096
