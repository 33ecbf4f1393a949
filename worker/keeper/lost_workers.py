"""
What a worker that is gone has left: messages that it had taken, and jobs that it ran.

A worker whose process ends is found within a second by its own keeper, which outlives it; one that
is gone together with its machine by the leading keeper, which hears nothing of it any more. A job
that ran is taken back by the reaper, when its lease has lapsed.
"""

import logging

from jobs.reaping import cut_leases
from jobs.workers import stale_workers
from tasks.taken_messages import give_back
from worker.keeper.keeper import Keeper
from worker.lease import RENEW_SECONDS

# Whoever is alive renews within RENEW_SECONDS: a worker that has been started under the same name.
DOUBT_SECONDS = 2 * RENEW_SECONDS
log = logging.getLogger(__name__)


def cut_own_leases(keeper: Keeper) -> int:
    """The keeper's own worker is gone: its leases end soon; returns how many."""
    cut = cut_leases(keeper.service, keeper.worker, within_seconds=DOUBT_SECONDS)
    log.warning("the worker has ended without a word; %s of its jobs are taken back", cut)
    return cut


def give_back_own(keeper: Keeper) -> int:
    """The keeper's own worker is gone: its messages go back; returns how many."""
    return give_back(keeper.redis, keeper.worker, ageing_seconds=keeper.settings.ageing_seconds)


def run_once(keeper: Keeper) -> int:
    """Give back the messages of workers that report no more; returns how many."""
    return sum(
        give_back(keeper.redis, worker, ageing_seconds=keeper.settings.ageing_seconds)
        for worker in stale_workers(keeper.redis)
    )
