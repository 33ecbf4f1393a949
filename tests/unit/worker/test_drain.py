"""What ending a worker changes of the pool's own ways."""

from types import SimpleNamespace

import pytest
from billiard import pool

from worker.drain import READ_SECONDS, DrainStep


def test_children_do_not_wait_long_for_results_that_nobody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set before the pool starts, so that children are forked with it."""
    monkeypatch.setattr(pool, "GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT", 300)
    DrainStep(SimpleNamespace())
    tries = pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT
    assert tries * pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_INTERVAL == READ_SECONDS
