"""With which context each model is loaded, as this worker's keeper reports it."""

import time
from collections.abc import Mapping
from typing import Any

import redis

from jobs.workers import WORKERS_KEY, WorkerReport
from tasks.ollama_request import wanted_num_ctx, with_room

FRESH_SECONDS = 1.0


class ContextSizes:
    """
    Looked up at most once a second, and only for jobs that say a size.

    Args:
        client: Answers as text.
    """

    def __init__(self, client: Any, worker: str) -> None:
        self._client = client
        self._worker = worker
        self._read_at = float("-inf")
        self._sizes: dict[str, int | None] = {}

    def fit(self, model: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """A job's input, or its request's body, with `num_ctx` as `with_room` rounds it."""
        return with_room(body, self.of(model)) if wanted_num_ctx(body) is not None else dict(body)

    def of(self, model: str) -> int | None:
        """In tokens; None where not known. While Redis is away, what was known last."""
        if time.monotonic() - self._read_at > FRESH_SECONDS:
            self._read_at = time.monotonic()
            try:
                text = self._client.hget(WORKERS_KEY, self._worker)
            except redis.RedisError:
                text = None
            if text is not None:
                self._sizes = {found.name: found.num_ctx for found in WorkerReport.from_json(text).models}
        return self._sizes.get(model)
