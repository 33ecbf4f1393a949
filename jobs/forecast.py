"""
What is known of the present that decides how long a job waits, and the estimate made of it.

Read at most once a second, and less often where reading takes long: an answer about a job
costs no query of its own for it. What is missing makes the estimate None and never a guess.
"""

import statistics
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from jobs.database import Database
from jobs.instants import utc_now
from jobs.models import IS_PENDING, IS_RELEASED, IS_RUNNING, Job
from jobs.pauses import read_paused
from jobs.positions import POSITION_CAP
from jobs.scheduling import Estimate, OtherModel, Pace, estimate_wait, rest_seconds
from jobs.states import Status
from jobs.workers import WorkerReport

FRESH_SECONDS = 1.0
STALE_SECONDS = 10.0
REST_FACTOR = 20  # 10 ms of reading: 200 ms of rest at least
LAST_JOBS = 300  # what the pace of models is taken from
LEAST_LOAD_SECONDS = 0.1  # Ollama reports some time for a model that is loaded already, too
_DUE_LAST = float("inf")


@dataclass(frozen=True)
class Running:
    """A job that a worker has claimed."""

    worker: str
    model: str
    started_at: datetime


@dataclass(frozen=True)
class Backlog:
    """What waits for a model: how many jobs, POSITION_CAP at most, and when the first is due."""

    jobs: int
    due_at: datetime | None


@dataclass(frozen=True)
class Present:
    """One look at everything."""

    workers: list[WorkerReport] = field(default_factory=list)
    running: list[Running] = field(default_factory=list)
    backlogs: Mapping[str, Backlog] = field(default_factory=dict)
    paces: Mapping[str, Pace] = field(default_factory=dict)
    paused: Mapping[str, datetime] = field(default_factory=dict)

    def having(self, model: str) -> list[WorkerReport]:
        """The live workers whose Ollama has a model."""
        return [worker for worker in self.workers if any(one.name == model for one in worker.models)]

    def serving(self, model: str) -> list[WorkerReport]:
        """Those of them that can run it now."""
        return [worker for worker in self.having(model) if worker.ollama_healthy]

    def running_on(self, workers: Collection[WorkerReport]) -> list[Running]:
        """What runs on these workers."""
        names = {worker.name for worker in workers}
        return [one for one in self.running if one.worker in names]


def estimate(
    present: Present, model: str, ahead: int, *, affinity_seconds: float, now: datetime
) -> Estimate | None:
    """
    When the job of a model starts that has so many of the same model before it.

    Returns:
        None where it is not known: no worker can run it, its queue is paused, or too little
        has been completed to know how long jobs take.
    """
    workers = present.serving(model)
    running = present.running_on(workers)
    paces = present.paces
    is_free = not running and not ahead
    pace = paces.get(model) or (Pace(0.0, 0.0, 1) if is_free else None)
    rivals = _rivals(present, model, workers)
    needed = {one.model for one in running} | rivals.keys()
    if not workers or model in present.paused or pace is None or not needed <= paces.keys():
        return None
    slots = max(sum(worker.concurrency for worker in workers), len(running))
    own = present.backlogs.get(model, Backlog(0, None)).due_at
    leading = statistics.mode(one.model for one in running) if running else None
    return estimate_wait(
        ahead=ahead,
        pace=pace,
        others=[
            OtherModel(
                jobs=backlog.jobs,
                pace=paces[name],
                is_served=name == leading,
                is_due_first=leading != model and _due(backlog.due_at) < _due(own),
                fits=_fit_together(workers, model, name),
            )
            for name, backlog in rivals.items()
        ],
        rests=[rest_seconds(paces[one.model], (now - one.started_at).total_seconds()) for one in running],
        slots=slots,
        is_loaded=any(one.name == model and one.is_loaded for worker in workers for one in worker.models),
        affinity_seconds=affinity_seconds,
    )


def _rivals(present: Present, model: str, workers: Collection[WorkerReport]) -> dict[str, Backlog]:
    """The other models whose jobs wait for the same slots."""
    there = {one.name for worker in workers for one in worker.models}
    return {
        name: backlog
        for name, backlog in present.backlogs.items()
        if name in there and name != model and name not in present.paused and backlog.jobs
    }


def _fit_together(workers: Collection[WorkerReport], model: str, other: str) -> bool:
    """Whether an Ollama has both loaded now."""
    return any({model, other} <= {one.name for one in worker.models if one.is_loaded} for worker in workers)


def _due(moment: datetime | None) -> float:
    return _DUE_LAST if moment is None else moment.timestamp()


class Forecaster:
    """
    Looks at the present and estimates by it.

    Args:
        workers: The live workers.
        affinity_seconds: How long a turn lasts while other models wait.
    """

    def __init__(
        self, database: Database, workers: Callable[[], list[WorkerReport]], affinity_seconds: float
    ) -> None:
        self._database = database
        self._workers = workers
        self._affinity_seconds = affinity_seconds
        self._lock = threading.Lock()
        self._present = Present()
        self._paces: dict[str, Pace] = {}
        self._look_at = self._looked_at = float("-inf")

    def estimate(self, job: Job, ahead: int | None, *, now: datetime | None = None) -> Estimate | None:
        """
        When a pending job starts.

        Args:
            ahead: Its `queue_position`.
        """
        if job.status != Status.PENDING or ahead is None or ahead >= POSITION_CAP:
            return None
        return self.estimate_for(job.model, ahead, now=now)

    def estimate_for(self, model: str, ahead: int, *, now: datetime | None = None) -> Estimate | None:
        """The same by its model and its place."""
        affinity_seconds, now = self._affinity_seconds, now or utc_now()
        return estimate(self.present(), model, ahead, affinity_seconds=affinity_seconds, now=now)

    def present(self) -> Present:
        """
        The last look, or a new one when that is too old.

        Nobody waits for another's look, and after a slow one (Redis hangs) the next comes late: what
        is known then is forgotten rather than told.
        """
        began = time.monotonic()
        if began >= self._look_at and self._lock.acquire(blocking=False):
            try:
                self._present = self._look()
                self._looked_at = now = time.monotonic()
                self._look_at = now + max(FRESH_SECONDS, REST_FACTOR * (now - began))
            finally:
                self._lock.release()
        return self._present if time.monotonic() - self._looked_at < STALE_SECONDS else Present()

    def _look(self) -> Present:
        workers = self._workers()
        models = sorted({model.name for worker in workers for model in worker.models})
        with self._database.reading() as session:
            self._paces |= read_paces(session)  # a model that has not run lately keeps its pace
            return Present(
                workers=workers,
                running=_read_running(session),
                backlogs=_read_backlogs(session, models),
                paces=dict(self._paces),
                paused=read_paused(session),
            )


# Built once: building takes longer than running them.
_LAST_JOBS = (
    select(Job.model, Job.status, Job.processing_seconds, Job.load_seconds, Job.first_token_seconds)
    .where(Job.completed_at.is_not(None))
    .order_by(Job.completed_at.desc())
    .limit(LAST_JOBS)
)
_RUNNING = select(Job.worker, Job.model, Job.started_at).where(IS_RUNNING)
_OF_MODEL = (IS_PENDING, Job.model == bindparam("of_model"))
_BACKLOG = select(
    select(func.count())
    .select_from(select(Job.id).where(*_OF_MODEL).limit(POSITION_CAP).subquery())
    .scalar_subquery()
    .label("jobs"),
    select(func.min(Job.due_at)).where(*_OF_MODEL, IS_RELEASED).scalar_subquery().label("due_at"),
)


def read_paces(session: Session) -> dict[str, Pace]:
    """How long the jobs took that ended last, by model."""
    by_model: dict[str, list[Any]] = {}
    for row in session.execute(_LAST_JOBS):
        if row.status == Status.COMPLETED and row.processing_seconds is not None:
            by_model.setdefault(row.model, []).append(row)
    return {model: _pace(rows) for model, rows in by_model.items()}


def read_loading(session: Session) -> tuple[float, int]:
    """Of the time that the last jobs took, what share went into loading; and of how many models they were."""
    rows = [row for row in session.execute(_LAST_JOBS) if row.processing_seconds]
    took = sum(row.processing_seconds for row in rows)
    loading = sum(row.load_seconds or 0.0 for row in rows if (row.load_seconds or 0.0) >= LEAST_LOAD_SECONDS)
    return (loading / took if took else 0.0), len({row.model for row in rows})


def _pace(rows: list[Any]) -> Pace:
    loads = [row.load_seconds or 0.0 for row in rows]
    loads = [load if load >= LEAST_LOAD_SECONDS else 0.0 for load in loads]
    # Who waited inside Ollama for the load of another's request reports none, but a late first token.
    answers = [row.first_token_seconds for row in rows if row.first_token_seconds is not None]
    usual = statistics.median(answers) if answers else 0.0
    late = [max(0.0, (row.first_token_seconds or 0.0) - usual) for row in rows]
    waits = [max(load, delay) for load, delay in zip(loads, late, strict=True)]
    runs = [max(0.0, row.processing_seconds - wait) for row, wait in zip(rows, waits, strict=True)]
    mean = statistics.fmean(runs)
    return Pace(
        mean=mean,
        # Of one job nothing is known about how they differ: as much as they last.
        deviation=statistics.stdev(runs) if len(runs) > 1 else mean,
        samples=len(runs),
        load=max(loads),
    )


def _read_running(session: Session) -> list[Running]:
    rows = session.execute(_RUNNING)
    return [Running(row.worker or "", row.model, row.started_at) for row in rows]


def _read_backlogs(session: Session, models: list[str]) -> dict[str, Backlog]:
    """Counted no further than POSITION_CAP each, from indexes alone."""
    rows = {model: session.execute(_BACKLOG, {"of_model": model}).one() for model in models}
    return {model: Backlog(row.jobs, row.due_at) for model, row in rows.items() if row.jobs}
