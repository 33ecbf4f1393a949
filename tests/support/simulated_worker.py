"""A worker and its Ollama, which has room for one model, in simulated time."""

import heapq
import math
from dataclasses import dataclass, field

from jobs.scheduling import LOWEST_LEVEL, Turns, Waiting

SWEEP_SECONDS = 1.0


@dataclass
class SimulatedJob:
    """A job as the simulation sees it; times are seconds from its beginning."""

    model: str
    level: int
    released_at: float
    runs_seconds: float
    due_at: float = 0.0
    started_at: float = math.nan


@dataclass
class Ollama:
    """Requests for the loaded model run at once; others wait for it to fall idle, and for a load."""

    load_seconds: float
    loaded: str | None = None
    free_at: float = 0.0  # when the loaded model's last request will have ended
    loads: int = 0

    def begin(self, model: str, now: float, runs_seconds: float) -> float:
        """When a request that is sent now begins to be worked on; once begun, a change is waited for."""
        starts_at = now
        if model != self.loaded:
            starts_at = max(now, self.free_at) + self.load_seconds
            self.loaded, self.loads = model, self.loads + 1
            self.loaded_at = starts_at
        starts_at = max(starts_at, self.loaded_at)
        self.free_at = max(self.free_at, starts_at + runs_seconds)
        return starts_at


@dataclass
class SimulatedWorker:
    """Serves jobs in the order of `Turns`, from lists by level that a sweep once a second lifts."""

    turns: Turns
    slots: int
    ageing_seconds: float
    ollama: Ollama
    lists: dict[str, list[list[SimulatedJob]]] = field(default_factory=dict)
    idle_slot_seconds: float = 0.0

    def run(self, jobs: list[SimulatedJob]) -> None:
        """Serve all of them."""
        coming = sorted(jobs, key=lambda job: job.released_at)
        for job in coming:
            job.due_at = job.released_at + job.level * self.ageing_seconds
            self.lists.setdefault(job.model, [[] for _ in range(LOWEST_LEVEL + 1)])
        self._running: list[tuple[float, int, SimulatedJob]] = []
        now, sweep_at, number = 0.0, SWEEP_SECONDS, 0
        while coming or self._running or any(map(len, self._waiting_jobs())):
            while coming and coming[0].released_at <= now:
                job = coming.pop(0)
                self.lists[job.model][job.level].append(job)
            while self._running and self._running[0][0] <= now:
                heapq.heappop(self._running)
            if sweep_at <= now:
                self._sweep(now)
                sweep_at = now + SWEEP_SECONDS
            while len(self._running) < self.slots and (job := self._take(now)) is not None:
                job.started_at = self.ollama.begin(job.model, now, job.runs_seconds)
                number += 1
                heapq.heappush(self._running, (job.started_at + job.runs_seconds, number, job))
            now = self._next_moment(coming, sweep_at, now)
        self.ended_at = now

    def _next_moment(self, coming: list[SimulatedJob], sweep_at: float, now: float) -> float:
        moments = [sweep_at, *([coming[0].released_at] if coming else [])]
        moments += [self._running[0][0]] if self._running else []
        moments += [job.started_at for _, _, job in self._running]  # an answer may open the gate
        return min(moment for moment in moments if moment > now)

    def _take(self, now: float) -> SimulatedJob | None:
        waiting = {
            model: Waiting(min(job.due_at for job in found), min(job.level for job in found))
            for model, found in zip(self.lists, self._waiting_jobs(), strict=True)
            if found
        }
        answered_at = {job.model: job.started_at for _, _, job in self._running if job.started_at <= now}
        running = [job.model for _, _, job in self._running]
        for group in self.turns.order(
            list(self.lists), waiting, running=running, answered_at=answered_at, now=now
        ):
            for level in range(LOWEST_LEVEL + 1):
                for model in group:
                    if self.lists[model][level]:
                        self.turns.sent(model, now)
                        return self.lists[model][level].pop(0)
        return None

    def _waiting_jobs(self) -> list[list[SimulatedJob]]:
        return [[job for level in levels for job in level] for levels in self.lists.values()]

    def _sweep(self, now: float) -> None:
        for levels in self.lists.values():
            for level in range(1, LOWEST_LEVEL + 1):
                while levels[level] and levels[level][0].due_at <= now + (level - 1) * self.ageing_seconds:
                    levels[level - 1].append(levels[level].pop(0))
