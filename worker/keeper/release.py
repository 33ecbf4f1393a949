"""
Keeps the window: releases what is held back where there is room, and takes back what is too much.

What children release themselves as they claim keeps a line as long as it is; this sweep
makes it longer or shorter, and sees to what a crash left undone.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from jobs.scheduling.window import Line, Sharing, Waiting, limit_of, next_moves, window_size
from jobs.window import BATCH, read_lines, release_next, take_back
from jobs.workers import WorkerReport, live_workers
from tasks.withdrawing import withdraw
from worker.keeper.keeper import Keeper

MOST_MOVES = 4000  # a sweep; the rest comes with the next, so that other services get their turn


@dataclass
class Release:
    """Remembers which models were shared a short while ago."""

    keeper: Keeper
    sharing: Sharing = field(default_factory=Sharing)

    def run_once(self) -> int:
        """One sweep; returns how many jobs were released or taken back."""
        lines = read_lines(self.keeper.service.database)
        shared = self.sharing.observe(lines, time.monotonic())
        if not any(one.is_held or one.lined_up > 1 for one in lines.values()):
            return 0
        limits = self._limits(lines, shared)
        excessive, open_ones = next_moves(lines, limits)
        moved = 0
        for line in excessive:
            moved += self._take_back(line, limits[line], MOST_MOVES - moved)
        for line in open_ones:
            moved += self._release(line, limits[line], MOST_MOVES - moved)
        return moved

    def _limits(self, lines: Mapping[Line, Waiting], shared: set[str]) -> dict[Line, int]:
        settings = self.keeper.settings
        workers = live_workers(self.keeper.redis) if shared else []
        windows = {model: window_size(slots_of(workers, model), settings.fair_window) for model in shared}
        return {
            line: limit_of(line, waiting, shared, line_up=settings.line_up, window=windows.get(line.model, 0))
            for line, waiting in lines.items()
        }

    def _take_back(self, line: Line, limit: int, most: int) -> int:
        count = 0
        while count < most:
            void = take_back(self.keeper.service, line, keep=limit)
            withdraw(self.keeper.redis, void)
            count += len(void)
            if len(void) < BATCH:
                break
        return count

    def _release(self, line: Line, limit: int, most: int) -> int:
        count = 0
        while count < most:
            released = release_next(self.keeper.service, line, limit=limit, most=BATCH)
            self.keeper.publish(released, serve_next=False)
            count += len(released)
            if len(released) < BATCH:
                break
        return count


def slots_of(workers: list[WorkerReport], model: str) -> int:
    """How many jobs of a model can run at once, on all workers that have it."""
    return sum(
        worker.concurrency for worker in workers if any(known.name == model for known in worker.models)
    )
