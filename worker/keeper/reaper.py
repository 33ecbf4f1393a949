"""
Takes back the jobs of workers that stopped renewing their leases.

Whether a worker is gone with all its runs, or has lost only one of its processes, its keeper's report
tells. Of a machine that is gone, the report is as old as the lease; of a worker that is gone alone,
its keeper has withdrawn it; of one that has been started again, it begins after the run.
"""

from datetime import UTC, datetime

from jobs.reaping import reap_expired
from jobs.states import Status
from jobs.workers import live_workers
from worker.keeper.keeper import Keeper


def run_once(keeper: Keeper) -> int:
    """Reap; returns how many jobs were taken back or failed."""
    again, failed = reap_expired(keeper.service, working_since=lambda: _working_since(keeper))
    keeper.publish(again, serve_next=True)
    for publication in again:
        keeper.events.add(publication.job_id, "status", {"status": Status.PENDING})
    for job_id in failed:
        keeper.events.add(job_id, "done", {"status": Status.FAILED})
    return len(again) + len(failed)


def _working_since(keeper: Keeper) -> dict[str, datetime]:
    """The workers that have reported since the last sign of life of whatever has lapsed just now."""
    workers = live_workers(keeper.redis, within_seconds=keeper.settings.lease_seconds / 2)
    return {worker.name: datetime.fromtimestamp(worker.since, UTC) for worker in workers}
