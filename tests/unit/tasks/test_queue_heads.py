"""What stands first in the queues, on a fake and a real Redis."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobs.scheduling import Waiting
from tasks.queue_heads import LOOK, ask_heads, read_heads
from tasks.queue_lists import list_names
from tests.support.lined_up import line_up

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def _later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def _heads(client: Any, *models: str) -> dict[str, Waiting]:
    with client.pipeline(transaction=False) as pipeline:
        ask_heads(pipeline, models)
        (heads,) = pipeline.execute()
    return read_heads(models, heads)


def test_of_an_empty_queue_there_is_nothing_to_say(redis_client: Any) -> None:
    """Only of the others."""
    line_up(redis_client, "beta", 5, "j", _later(150))
    assert _heads(redis_client, "alpha", "beta", "gamma") == {"beta": Waiting(_later(150).timestamp(), 5)}
    assert _heads(redis_client) == {}


def test_the_oldest_job_and_the_most_urgent_level(redis_client: Any) -> None:
    """An aged job is due first; what it was submitted at counts, and not where it is now."""
    line_up(redis_client, "alpha", 3, "aged", _later(10), submitted=9)
    line_up(redis_client, "alpha", 5, "normal", _later(100), submitted=5)
    assert _heads(redis_client, "alpha") == {"alpha": Waiting(_later(10).timestamp(), 5)}


def test_an_urgent_job_behind_aged_ones_is_seen(redis_client: Any) -> None:
    """As far as the look goes."""
    for number in range(LOOK - 1):
        line_up(redis_client, "alpha", 0, f"aged{number}", _later(number), submitted=9)
    line_up(redis_client, "alpha", 0, "urgent", _later(99), submitted=0)
    assert _heads(redis_client, "alpha") == {"alpha": Waiting(NOW.timestamp(), 0)}


@pytest.mark.parametrize("headers", ["{}", '{"due_at": "soon"}'])
def test_what_somebody_else_put_there_is_served_first(redis_client: Any, headers: str) -> None:
    """It says neither due time nor level, and is void."""
    redis_client.lpush(list_names("ollama.alpha")[4], f'{{"headers": {headers}}}')
    assert _heads(redis_client, "alpha") == {"alpha": Waiting(0.0, 4)}
