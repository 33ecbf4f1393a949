"""The figures of every queue, for the route and the command line."""

import redis

from api.admin.schemas import QueueAnswer, QueueLevel
from api.database import get_database
from api.late import count_lined_up, get_resources
from jobs.instants import utc_now
from jobs.pauses import read_paused
from jobs.queues import Queue, read_queues


def read_queue_figures() -> list[QueueAnswer]:
    """By model: those that are installed, asked for, paused or at work."""
    reports = get_resources().catalog.workers()
    installed = [model.name for report in reports for model in report.models]
    queues = read_queues(get_database())
    with get_database().reading() as session:
        paused = read_paused(session)
    for model in (*installed, *paused):
        queues.setdefault(model, Queue())
    lined_up = _count(list(queues))
    shown = [
        _queue(model, queues[model], None if lined_up is None else lined_up[model])
        for model in sorted(queues)
    ]
    return [
        queue.model_copy(
            update={"workers": installed.count(queue.model), "paused_at": paused.get(queue.model)}
        )
        for queue in shown
    ]


def _count(models: list[str]) -> dict[str, dict[int, int]] | None:
    """By model and level; None while Redis is away."""
    try:
        return count_lined_up(models)
    except redis.RedisError:
        return None


def _queue(model: str, queue: Queue, lined_up: dict[int, int] | None) -> QueueAnswer:
    oldest = queue.oldest_pending_at
    return QueueAnswer(
        model=model,
        paused_at=None,
        pending=sum(queue.pending.values()),
        lined_up=None if lined_up is None else sum(lined_up.values()),
        processing=queue.processing,
        oldest_wait_seconds=None if oldest is None else max(0.0, (utc_now() - oldest).total_seconds()),
        completed_last_minute=queue.completed_last_minute,
        workers=0,
        levels=[
            QueueLevel(
                priority=level,
                pending=queue.pending.get(level, 0),
                lined_up=None if lined_up is None else lined_up.get(level, 0),
            )
            for level in sorted({*queue.pending, *(lined_up or {})})
        ],
    )
