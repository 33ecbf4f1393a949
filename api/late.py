"""
The door to `tasks`, opened late: importing Celery takes 0.3 s, which commands such as
`flask --app api keys list` don't need.
"""

from typing import TYPE_CHECKING

from jobs.database import Database
from settings import Settings

if TYPE_CHECKING:
    from tasks.job_task import JobTask
    from tasks.resources import Resources


def share_database(database: Database, settings: Settings) -> None:
    """Let the tasks of this process work on the app's engine."""
    from tasks.resources import use_database

    use_database(database, settings)


def get_resources() -> "Resources":
    """This process's Redis client, job service and model catalog."""
    from tasks.resources import get_resources

    return get_resources()


def count_lined_up(models: list[str]) -> dict[str, dict[int, int]]:
    """How many messages wait in Redis for each model, by level."""
    from tasks.queue_lists import count_lined_up

    return count_lined_up(get_resources().redis, models)


def task_of(kind: str) -> "JobTask":
    """The task that runs jobs of this kind."""
    import tasks

    task: JobTask = {"generate": tasks.generate, "chat": tasks.chat, "embed": tasks.embed}[kind]
    return task
