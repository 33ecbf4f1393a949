"""
Tells the links, chains, chords and errbacks of ended jobs that a crash or a cancel left untold.

Done again through Celery's own code with the request the job had. Links and chord
bodies have fixed ids, so telling twice makes no second job. One that is refused, or
an errback that raises, is told in the log and not tried again: it would stay so.
"""

import logging
from collections.abc import Iterator
from typing import Any

import redis
from celery.app.task import Context
from kombu.exceptions import OperationalError
from sqlalchemy.exc import SQLAlchemyError

from jobs.errors import JobFailed, JobsError
from jobs.housekeeping import untold_successors
from jobs.records import Untold
from jobs.states import Status
from tasks import canvas
from worker.keeper.keeper import Keeper

UNTOLD_SECONDS = 3.0  # the child that finished the job is given this long
log = logging.getLogger(__name__)


def run_once(keeper: Keeper) -> int:
    """Tell; returns how many jobs were behind."""
    behind = untold_successors(keeper.service, seconds_ago=UNTOLD_SECONDS)
    for job in behind:
        try:
            _tell(keeper, job)
        except (SQLAlchemyError, redis.RedisError):
            raise  # the next pass
        except OperationalError as error:
            log.warning("job %s: its successors wait for the broker: %s", job.job_id, type(error).__name__)
        except Exception:  # whatever an errback of the user's raises
            log.exception("job %s: its successors can't be told", job.job_id)
            keeper.service.successors_sent(job.job_id)
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
    for signature, rest in _next_ones(request):
        link = keeper.app.signature(signature)
        chain = {"chain": rest} if rest else {}
        try:
            link.apply_async((result,), parent_id=request.id, root_id=request.root_id, **chain)
        except JobsError as error:
            log.warning("job %s: what follows it was not accepted: %s", request.id, error)
            _fail(keeper, link, rest, error)


def _next_ones(request: Any) -> Iterator[tuple[Any, list[Any]]]:
    """Each link, and the next of the chain with the rest of it, which Celery keeps last first."""
    for link in request.callbacks or ():
        yield link, []
    if request.chain:
        *rest, following = request.chain
        yield following, rest


def _fail(keeper: Keeper, link: Any, rest: list[Any], error: JobsError) -> None:
    """Tell who waits for a link, or for the end of its chain, that it was never accepted."""
    task_id = link.options.get("task_id")
    if task_id is not None:
        request = Context(id=task_id, chain=rest, errbacks=link.options.get("link_error"), delivery_info={})
        keeper.app.backend.mark_as_failure(task_id, JobFailed(f"{error.code}: {error}"), request=request)
