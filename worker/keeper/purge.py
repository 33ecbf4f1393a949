"""Deletes jobs that ended longer ago than the retention time."""

from jobs.housekeeping import purge_completed
from worker.keeper.keeper import Keeper

DAY_SECONDS = 24 * 3600.0


def run_once(keeper: Keeper) -> int:
    """Delete a batch, and what Celery keeps of tasks that are not jobs; returns how many jobs."""
    keeper.app.backend.cleanup()
    return purge_completed(keeper.service, older_than_seconds=keeper.settings.retention_days * DAY_SECONDS)
