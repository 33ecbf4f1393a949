"""
Celery's `revoke`, for jobs: `AsyncResult.revoke()` and Flower's Revoke and Terminate cancel the row.

Celery's own command would remember the id in every worker for good, so that a
retry of the job is thrown away, and would kill the child for a job that may have
ended in this moment.
"""

from typing import Any

from celery.utils.functional import maybe_list
from celery.worker import control

from tasks.cancelling import cancel_quietly


def revoke(state: Any, task_id: Any, terminate: bool = False, **_: Any) -> dict[str, str]:
    """Cancel waiting jobs by id; with terminate, running ones too."""
    task_ids = list(maybe_list(task_id) or [])
    for each in task_ids:
        cancel_quietly(str(each), only_pending=not terminate)
    return {"ok": f"tasks {task_ids} revoked"}


def install() -> None:
    """Take the place of Celery's command."""
    control.control_command(variadic="task_id", signature="[id1 ... [idN]]")(revoke)
