"""`flask --app api queues …`: what waits for each model, and what to do about it."""

import click
from flask.cli import AppGroup

from api.admin.schemas import QueueAnswer
from api.command_errors import told_in_one_line
from api.queue_figures import read_queue_figures
from api.tables import print_table
from jobs.model_names import normalise_model

queues = AppGroup("queues", help="Queues: show, clear, pause, resume.")


@queues.command()
@click.argument("model", required=False)
def show(model: str | None) -> None:
    """Every queue, or one model's with its levels."""
    with told_in_one_line():
        wanted = normalise_model(model) if model else None
        found = [queue for queue in read_queue_figures() if wanted in (None, queue.model)]
    head = ("MODEL", "PENDING", "LINED UP", "RUNNING", "OLDEST", "DONE/MIN", "WORKERS", "STATE")
    print_table([head, *(_row(queue) for queue in found)])
    if wanted is None:
        return
    levels = [level for queue in found for level in queue.levels]
    click.echo()
    print_table(
        [
            ("PRIORITY", "PENDING", "LINED UP"),
            *((str(level.priority), str(level.pending), _count(level.lined_up)) for level in levels),
        ]
    )


@queues.command()
@click.argument("model")
@click.confirmation_option(prompt="Cancel all jobs that wait for this model?")
def clear(model: str) -> None:
    """Cancel all pending jobs of MODEL; those that run go on."""
    from tasks.queue_control import clear

    with told_in_one_line():
        name = normalise_model(model)
        cancelled = clear(name)
    click.echo(f"{name}: cancelled {cancelled}")


@queues.command()
@click.argument("model")
def pause(model: str) -> None:
    """Start no further job of MODEL; what runs goes on, and new jobs are accepted."""
    from tasks.queue_control import pause

    with told_in_one_line():
        name = normalise_model(model)
        pause(name)
    click.echo(f"{name} is paused")


@queues.command()
@click.argument("model")
def resume(model: str) -> None:
    """Start the jobs of MODEL again."""
    from tasks.queue_control import resume

    with told_in_one_line():
        name = normalise_model(model)
        resume(name)
    click.echo(f"{name} goes on")


def _row(queue: QueueAnswer) -> tuple[str, ...]:
    oldest = queue.oldest_wait_seconds
    state = "paused" if queue.paused_at is not None else "no worker" if not queue.workers else "open"
    return (
        *(queue.model, str(queue.pending), _count(queue.lined_up), str(queue.processing)),
        *("-" if oldest is None else f"{oldest:.0f} s", str(queue.completed_last_minute)),
        *(str(queue.workers), state),
    )


def _count(number: int | None) -> str:
    """Unknown while Redis is away."""
    return "?" if number is None else str(number)
