"""`python -m worker.keeper WORKER PARENT`: one keeper, until its parent is gone."""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import redis
from sqlalchemy.exc import SQLAlchemyError

from jobs.inventories import withdraw_inventory
from jobs.workers import withdraw_worker
from settings import get_settings
from tasks import app
from tasks.resources import connect_redis, get_resources
from worker.keeper import (
    ageing,
    checkpoint,
    expiry,
    lost_workers,
    pauses,
    purge,
    reaper,
    retries,
    successors,
)
from worker.keeper.keeper import Keeper
from worker.keeper.leadership import Leadership
from worker.keeper.reconciler import Reconciler
from worker.keeper.registry import Registry
from worker.keeper.release import Release
from worker.keeper.stopped_writers import StoppedWriters

PASS_SECONDS = 1.0
REAP_SECONDS = 0.25  # a lapsed lease is looked for more often: a lost job has waited for long already
PURGE_SECONDS = 60.0
REDIS_TIMEOUT_SECONDS = 5.0  # its scripts look at all that is lined up, and nobody waits for it
log = logging.getLogger("worker.keeper")


class Housekeeping:
    """The leader's services, and when they had better wait."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._leadership = Leadership(keeper.redis, keeper.worker)
        self._release = Release(keeper)
        self._reconciler = Reconciler(keeper)
        self._reconciler_at_end = Reconciler(keeper, published_seconds_ago=0.0)
        self._last_pass = time.monotonic()
        self._reap_from = 0.0
        self._purge_at = 0.0
        self._pass_at = 0.0

    def tick(self) -> None:
        """Reap, if this keeper leads; and once every PASS_SECONDS everything else."""
        if time.monotonic() >= self._pass_at:
            self._pass_at = time.monotonic() + PASS_SECONDS
            self.run_once()
        elif self._leadership.is_held():
            self.reap()

    def reap(self) -> None:
        """Take lapsed leases back, unless others are owed time; two that do so at once do no harm."""
        if time.monotonic() >= self._reap_from:
            self._run(lambda: reaper.run_once(self._keeper))

    def run_once(self) -> None:
        """One pass of everything, if this keeper leads."""
        now = time.monotonic()
        self._give_time_after_pause(self._last_pass)
        if not self._leadership.is_held():
            self._last_pass = now
            return
        self._run(lambda: retries.run_once(self._keeper))
        self._run(lambda: expiry.run_once(self._keeper))
        self._run(lambda: pauses.run_once(self._keeper))
        self.reap()
        self._run(lambda: lost_workers.run_once(self._keeper))
        self._run(lambda: ageing.run_once(self._keeper))
        self._run(self._release.run_once)
        self._run(self._reconciler.run_once)
        self._run(lambda: successors.run_once(self._keeper))
        self._run(lambda: checkpoint.run_once(self._keeper))
        if now >= self._purge_at:
            self._purge_at = now + PURGE_SECONDS
            self._run(lambda: purge.run_once(self._keeper))
        self._last_pass = time.monotonic()

    def after_parent(self) -> None:
        """This keeper's worker has ended without a word."""
        self._run(lambda: lost_workers.cut_own_leases(self._keeper))
        self._run(lambda: lost_workers.give_back_own(self._keeper))

    def look_for_lost(self) -> None:
        """What this keeper's worker had popped and not yet noted when it ended is lost, however young."""
        self._run(self._reconciler_at_end.run_once)

    def give_up(self) -> None:
        self._leadership.give_up()

    def _run(self, service: Callable[[], int]) -> None:
        began = time.monotonic()
        try:
            service()
        except SQLAlchemyError as error:
            self._reap_from = time.monotonic() + self._keeper.settings.lease_seconds
            log.warning("the database does not answer: %s", type(error).__name__)
        self._give_time_after_pause(began)

    def _give_time_after_pause(self, since: float) -> None:
        """
        Postpone reaping when what should have been quick was not.

        After a pause of ours (a suspended machine, a database that was away or stood still) others
        have had one too: they get the time of a lease to renew before any is taken back.
        """
        now = time.monotonic()
        lease_seconds = self._keeper.settings.lease_seconds
        if now - since > lease_seconds / 2:
            self._reap_from = now + lease_seconds
            log.info("paused for %.1f s: no lease is taken back for %.0f s", now - since, lease_seconds)


def make_keeper(worker: str) -> Keeper:
    """The keeper of this process."""
    resources = get_resources()
    return Keeper(
        worker=worker,
        settings=get_settings(),
        app=app,
        service=resources.service,
        redis=connect_redis(get_settings(), timeout_seconds=REDIS_TIMEOUT_SECONDS),
        events=resources.events,
    )


def watch_ollama(keeper: Keeper, stopping: threading.Event) -> None:
    """Report once a second; apart from the housekeeping, which a hanging Ollama must not hold up."""
    registry = Registry(keeper)
    while not stopping.wait(PASS_SECONDS):
        registry.run_once()
        if stopping.is_set():  # reported after the withdrawal, a worker that is gone would seem to be there
            with suppress(redis.RedisError):
                withdraw_worker(keeper.redis, keeper.worker)


def watch_writers(keeper: Keeper, parent: int, stopping: threading.Event) -> None:
    """Look once a second; apart from the housekeeping, which may itself be waiting for the lock."""
    url = keeper.service.database.engine.url
    if url.get_backend_name() != "sqlite" or url.database is None:
        return
    writers = StoppedWriters(Path(url.database), parent)
    while not stopping.wait(PASS_SECONDS):
        writers.run_once()


def see_to_what_is_left(housekeeping: Housekeeping) -> None:
    """A worker's jobs come back; nobody else may be there for it, should another worker have ended too."""
    ends_at = time.monotonic() + lost_workers.DOUBT_SECONDS + PASS_SECONDS
    look_at = 0.0
    while time.monotonic() < ends_at:
        if time.monotonic() >= look_at:
            look_at = time.monotonic() + PASS_SECONDS
            housekeeping.look_for_lost()
        time.sleep(REAP_SECONDS)
        housekeeping.reap()


def main(worker: str, parent: int) -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s keeper %(levelname)s %(message)s")
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keeper = make_keeper(worker)
    Registry(keeper).run_once()
    threading.Thread(target=watch_ollama, args=(keeper, stopping), daemon=True).start()
    threading.Thread(target=watch_writers, args=(keeper, parent, stopping), daemon=True).start()
    housekeeping = Housekeeping(keeper)
    while not stopping.wait(REAP_SECONDS) and os.getppid() == parent:
        try:
            housekeeping.tick()
        except redis.RedisError as error:
            log.warning("Redis does not answer: %s", type(error).__name__)
            stopping.wait(PASS_SECONDS)
    is_orphaned = os.getppid() != parent
    stopping.set()
    try:
        if is_orphaned:
            housekeeping.after_parent()
        housekeeping.give_up()
        withdraw_worker(keeper.redis, worker)
        withdraw_inventory(keeper.redis, worker)
        if is_orphaned:
            see_to_what_is_left(housekeeping)
    except redis.RedisError:
        log.info("Redis is gone already")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
