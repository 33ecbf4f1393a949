"""
Tells the links, chains, chords and errbacks of ended jobs that a crash or a cancel left untold.

Done again through Celery's own code with the request the job had. Links and chord
bodies have fixed ids, so telling twice makes no second job.
"""

from typing import Any

from celery.app.task import Context

from jobs.errors import JobFailed
from jobs.housekeeping import untold_successors
from jobs.records import Untold
from jobs.states import Status
from tasks import canvas
from worker.keeper.keeper import Keeper

UNTOLD_SECONDS = 3.0  # the child that finished the job is given this long


def run_once(keeper: Keeper) -> int:
    """Tell; returns how many jobs were behind."""
    behind = untold_successors(keeper.service, seconds_ago=UNTOLD_SECONDS)
    for job in behind:
        _tell(keeper, job)
    return len(behind)


def _tell(keeper: Keeper, job: Untold) -> None:
    backend = keeper.app.backend
    request = Context(id=job.job_id, task=job.task, delivery_info={})
    canvas.restore(request, job.canvas)
    meta = backend.get_task_meta(job.job_id, cache=False)
    if job.status is Status.COMPLETED:
        _send_links(keeper, request, meta["result"])
        backend.mark_as_done(job.job_id, meta["result"], request)
    else:
        error = meta["result"] if isinstance(meta["result"], Exception) else JobFailed(job.status)
        backend.mark_as_failure(job.job_id, error, request=request)


def _send_links(keeper: Keeper, request: Any, result: Any) -> None:
    for link in request.callbacks or ():
        keeper.app.signature(link).apply_async((result,), parent_id=request.id, root_id=request.root_id)
    if request.chain:
        *rest, following = request.chain
        keeper.app.signature(following).apply_async(
            (result,), chain=rest, parent_id=request.id, root_id=request.root_id
        )
