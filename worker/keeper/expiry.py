"""Expires jobs that have not started by their deadline."""

from jobs.housekeeping import expire_due
from jobs.states import Status
from worker.keeper.keeper import Keeper


def run_once(keeper: Keeper) -> int:
    """Expire; returns how many."""
    expired = expire_due(keeper.service)
    for job_id in expired:
        keeper.events.add(job_id, "done", {"status": Status.EXPIRED})
    return len(expired)
