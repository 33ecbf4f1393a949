"""Takes back the jobs of workers that stopped renewing their leases."""

from jobs.housekeeping import reap_expired
from jobs.states import Status
from worker.keeper.keeper import Keeper


def run_once(keeper: Keeper) -> int:
    """Reap; returns how many jobs were taken back or failed."""
    again, failed = reap_expired(keeper.service)
    keeper.publish(again, serve_next=True)
    for publication in again:
        keeper.events.add(publication.job_id, "status", {"status": Status.PENDING})
    for job_id in failed:
        keeper.events.add(job_id, "done", {"status": Status.FAILED})
    return len(again) + len(failed)
