"""Messages of `send_task` from elsewhere: they become jobs, and the job's own message follows."""

from typing import Any, NoReturn

from celery.exceptions import Ignore

from tasks.job_task import JobTask
from worker.persistence import persist


def take_in(task: JobTask, args: tuple[Any, ...], kwargs: dict[str, Any]) -> NoReturn:
    """
    Write the row for a message that carries its arguments, under the message's own id.

    A redelivered message meets the row it made. Kombu gives a message without a
    priority 0, the most urgent, so 0 counts as not given.

    Raises:
        Ignore: it is a job now.
        InvalidRequest, ModelNotInstalled: Celery stores the failure for its caller.
    """
    request = task.request
    options = {
        "task_id": request.id,
        "priority": (request.delivery_info or {}).get("priority") or None,
        "link": request.callbacks,
        "link_error": request.errbacks,
        "chain": request.chain,
        "chord": request.chord,
        "group_id": request.group,
        "group_index": request.group_index,
        "root_id": request.root_id,
        "parent_id": request.parent_id,
        "headers": request.headers,
        "expires": request.expires,
        "add_to_parent": False,
    }
    persist(lambda: task.apply_async(args, kwargs, **options))
    raise Ignore
