"""What waits: the backlog in the database, and what is lined up in Redis."""

import redis
from flask import Response

from api.admin.blueprints import admin_blueprint
from api.admin.schemas import QueueAnswer, QueueLevel, QueueList
from api.database import get_database
from api.documentation import answers
from api.late import count_lined_up, get_resources
from api.rendering import respond
from jobs.instants import utc_now
from jobs.queues import Queue, read_queues

blueprint = admin_blueprint("queues", "queues")


@blueprint.get("/", responses=answers({200: QueueList}))
def list_queues() -> Response:
    """The queue of every model that is installed, asked for or at work."""
    reports = get_resources().catalog.workers()
    installed = [model.name for report in reports for model in report.models]
    queues = read_queues(get_database())
    for model in installed:
        queues.setdefault(model, Queue())
    lined_up = _count(list(queues))
    shown = [
        _queue(model, queues[model], None if lined_up is None else lined_up[model], installed.count(model))
        for model in sorted(queues)
    ]
    return respond(QueueList(queues=shown))


def _count(models: list[str]) -> dict[str, dict[int, int]] | None:
    """By model and level; None while Redis is away."""
    try:
        return count_lined_up(models)
    except redis.RedisError:
        return None


def _queue(model: str, queue: Queue, lined_up: dict[int, int] | None, workers: int) -> QueueAnswer:
    oldest = queue.oldest_pending_at
    return QueueAnswer(
        model=model,
        pending=sum(queue.pending.values()),
        lined_up=None if lined_up is None else sum(lined_up.values()),
        processing=queue.processing,
        oldest_wait_seconds=None if oldest is None else max(0.0, (utc_now() - oldest).total_seconds()),
        completed_last_minute=queue.completed_last_minute,
        workers=workers,
        levels=[
            QueueLevel(
                priority=level,
                pending=queue.pending.get(level, 0),
                lined_up=None if lined_up is None else lined_up.get(level, 0),
            )
            for level in sorted({*queue.pending, *(lined_up or {})})
        ],
    )
