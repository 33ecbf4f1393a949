"""Releases jobs whose time has come: delayed ones, and failed attempts after their back-off."""

from jobs.housekeeping import release_due
from worker.keeper.keeper import Keeper


def run_once(keeper: Keeper) -> int:
    """Release and publish; returns how many."""
    released = release_due(keeper.service)
    keeper.publish(released, serve_next=False)
    return len(released)
