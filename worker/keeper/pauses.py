"""Tells workers which queues are paused: Redis may have been flushed, or away when an operator decided it."""

from jobs.pauses import tell_workers
from worker.keeper.keeper import Keeper


def run_once(keeper: Keeper) -> int:
    """Copy what the database says; returns how many are paused."""
    return tell_workers(keeper.service.database, keeper.redis)
