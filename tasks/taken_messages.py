"""
The messages that a worker has taken from their queues and not acknowledged yet.

kombu notes them in Redis, so that they outlive the worker; usually in one place for all. Here each
worker has its own, and whoever finds it gone gives back exactly what that one had.

    paddock:taken:<worker>      hash; delivery tag → [message, exchange, queue], JSON: kombu's `unacked`
    paddock:taken-at:<worker>   sorted set; delivery tag by when it was taken, seconds since the epoch:
                                kombu's `unacked_index`
"""

import json
from datetime import datetime
from typing import Any

import redis

from jobs.instants import utc_now
from jobs.scheduling import LOWEST_LEVEL, current_level
from tasks.queue_lists import list_names

_TAKEN_KEY, _TAKEN_AT_KEY = "paddock:taken:", "paddock:taken-at:"
_MUTEX_KEY = "paddock:taken-mutex:"


def taken_keys(worker: str) -> tuple[str, str]:
    """The hash and the sorted set of a worker."""
    return _TAKEN_KEY + worker, _TAKEN_AT_KEY + worker


def transport_options(worker: str) -> dict[str, str]:
    """Under kombu's names."""
    taken, taken_at = taken_keys(worker)
    return {
        "unacked_key": taken,
        "unacked_index_key": taken_at,
        "unacked_mutex_key": _MUTEX_KEY + worker,
    }


def give_back(client: redis.Redis, worker: str, *, ageing_seconds: float) -> int:
    """
    Put what a worker that is gone had taken back to where the next job is taken from.

    A message whose job has been claimed, or published again, is void; so is one of the two when two
    give back at once. Nothing is lost in between: each message moves in one transaction.

    Returns:
        How many there were.
    """
    taken, taken_at = taken_keys(worker)
    entries = client.hgetall(taken)
    if not entries:
        return 0
    messages = {tag: json.loads(text) for tag, text in entries.items()}
    # The last to go back is served first.
    latest_first = sorted(messages, key=lambda tag: _due_at(messages[tag][0]), reverse=True)
    with client.pipeline(transaction=True) as pipeline:
        for tag in latest_first:
            message, _, queue = messages[tag]
            pipeline.rpush(list_names(queue)[_level(message, ageing_seconds)], json.dumps(message))
            pipeline.hdel(taken, tag)
            pipeline.zrem(taken_at, tag)
        pipeline.execute()
    return len(messages)


def _due_at(message: dict[str, Any]) -> str:
    """Of a job's message; another's comes first."""
    return str(message["headers"].get("due_at", ""))


def _level(message: dict[str, Any], ageing_seconds: float) -> int:
    """The level that its due time says by now; of a message that is not ours, its own."""
    if due_at := _due_at(message):
        return current_level(datetime.fromisoformat(due_at), utc_now(), ageing_seconds)
    return min(max(int(message["properties"].get("priority") or 0), 0), LOWEST_LEVEL)
