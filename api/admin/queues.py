"""What waits: the backlog in the database, and what is lined up in Redis; and what to do about it."""

from flask import Response

from api.admin.blueprints import admin_blueprint
from api.admin.schemas import ClearedQueue, PausedAnswer, QueueList, QueuePath
from api.documentation import answers
from api.queue_figures import read_queue_figures
from api.rendering import respond

blueprint = admin_blueprint("queues", "queues")


@blueprint.get("/", responses=answers({200: QueueList}))
def list_queues() -> Response:
    """The queue of every model that is installed, asked for, paused or at work."""
    return respond(QueueList(queues=read_queue_figures()))


@blueprint.delete("/<path:model>/", responses=answers({200: ClearedQueue}, 422))
def clear_queue(path: QueuePath) -> Response:
    """Cancel all pending jobs of a model; those that run go on."""
    from tasks.queue_control import clear

    return respond(ClearedQueue(model=path.model, cancelled=clear(path.model)))


@blueprint.post("/<path:model>/pause/", responses=answers({200: PausedAnswer}, 422))
def pause_queue(path: QueuePath) -> Response:
    """Start no further job of a model; what runs goes on, and new jobs are accepted."""
    from tasks.queue_control import pause

    pause(path.model)
    return respond(PausedAnswer(model=path.model, is_paused=True))


@blueprint.post("/<path:model>/resume/", responses=answers({200: PausedAnswer}, 422))
def resume_queue(path: QueuePath) -> Response:
    """Start a model's jobs again."""
    from tasks.queue_control import resume

    resume(path.model)
    return respond(PausedAnswer(model=path.model, is_paused=False))
