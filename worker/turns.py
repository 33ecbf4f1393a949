"""
The parent's part in the order: which queues its next job may come from.

It looks into Redis right before it asks for a job, and not more often than each
LOOK_SECONDS: one round trip for what waits, what has answered, what is paused and how
Ollama is. No thread and no SQL, as everywhere in the parent. While Redis is away it
knows what it knew.
"""

import logging
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import redis
from celery import bootsteps

from jobs.answers import Answers, answers_key
from jobs.pauses import PAUSED_KEY
from jobs.scheduling import LoadedTogether, Turns, Waiting
from jobs.workers import WORKERS_KEY, WorkerReport
from settings import get_settings
from tasks import queue_order
from tasks.queue_heads import ask_heads, read_heads
from tasks.queue_lists import QUEUE_PREFIX, queue_name
from tasks.resources import connect_redis

LOOK_SECONDS = 0.05
AWAY_SECONDS = 1.0  # until the next look when Redis has not answered
log = logging.getLogger(__name__)


@dataclass
class View:
    """What the last look showed."""

    waiting: dict[str, Waiting] = field(default_factory=dict)
    answers: Answers = field(default_factory=Answers)
    paused: set[str] = field(default_factory=set)


class TurnDirector:
    """Decides for one worker; see `queue_order.Director`."""

    def __init__(self, client: redis.Redis, worker: str, affinity_seconds: float) -> None:
        self._client = client
        self._worker = worker
        self._together = LoadedTogether()
        self._turns = Turns(
            affinity_seconds,
            together=self._together.with_model,
            load_seconds=lambda model: self._view.answers.load_seconds.get(model, 0.0),
        )
        self._view = View()
        self._report = ""
        self._look_at = 0.0
        self.ollama_answers = True

    def groups(self, queues: list[str], running: Collection[str]) -> list[list[str]]:
        """The intake always; a model's queue while it is not paused, Ollama answers, and it is its turn."""
        models = [_model(queue) for queue in queues if queue.startswith(QUEUE_PREFIX)]
        intake = [queue for queue in queues if not queue.startswith(QUEUE_PREFIX)]
        self._look(models)
        if not self.ollama_answers:
            return [intake]
        order = self._turns.order(
            [model for model in models if model not in self._view.paused],
            self._view.waiting,
            running=[_model(queue) for queue in running if queue.startswith(QUEUE_PREFIX)],
            answered_at=self._view.answers.answered_at,
            now=time.time(),
        )
        return [intake, *([queue_name(model) for model in group] for group in order)]

    def may_overlap(self) -> bool:
        waiting = {model: one for model, one in self._view.waiting.items() if model not in self._view.paused}
        return self.ollama_answers and self._turns.may_overlap(waiting, time.time())

    def sent(self, queue: str) -> None:
        if queue.startswith(QUEUE_PREFIX):
            self._turns.sent(_model(queue), time.time())

    def _look(self, models: list[str]) -> None:
        now = time.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + LOOK_SECONDS
        try:
            with self._client.pipeline(transaction=False) as pipeline:
                ask_heads(pipeline, models)
                pipeline.hgetall(answers_key(self._worker))
                pipeline.smembers(PAUSED_KEY)
                pipeline.hget(WORKERS_KEY, self._worker)
                heads, answers, paused, report = pipeline.execute()
        except (redis.RedisError, OSError):
            self._look_at = now + AWAY_SECONDS  # the consumer itself notices and reconnects
            return
        self._view = View(read_heads(models, heads), Answers.from_fields(answers), set(paused))
        if report and report != self._report:
            self._report = report
            self._read(WorkerReport.from_json(report))

    def _read(self, report: WorkerReport) -> None:
        if report.ollama_healthy != self.ollama_answers:
            log.warning("Ollama %s", "answers" if report.ollama_healthy else "is away: jobs wait for it")
        self.ollama_answers = report.ollama_healthy
        if report.ollama_healthy:
            self._together.observe([model.name for model in report.models if model.is_loaded])


def _model(queue: str) -> str:
    return queue.removeprefix(QUEUE_PREFIX)


class TurnStep(bootsteps.Step):
    """Puts this worker's consumer under its director, before it asks for its first job."""

    def __init__(self, parent: Any, **kwargs: Any) -> None:
        super().__init__(parent, **kwargs)
        settings = get_settings()
        client = connect_redis(settings, timeout_seconds=1.0)
        queue_order.direct(TurnDirector(client, parent.hostname, settings.affinity_seconds))
