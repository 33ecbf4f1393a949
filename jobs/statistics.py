"""
What has been done, by the jobs that ended in a window of time: overall and by model.

One pass over `ix_jobs_completed` for counts and means, one statement for the
percentiles. A percentile is the smallest value that 95% of the values don't exceed.
"""

import math
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import CTE, Double, case, func, literal, select, type_coerce, union_all
from sqlalchemy.orm import Session

from jobs.database import Database
from jobs.instants import earlier
from jobs.models import Job
from jobs.states import FINAL, Status

PERCENTILE = 0.95
MODELS_AT_MOST = 50  # the busiest get percentiles of their own; each costs SQLite a sort
REST_FACTOR = 20  # 250 ms of counting: 5 s of rest
_MEASURES = ("waiting", "processing", "tokens_per_second")
_TIMED = ("waiting", "processing")


@dataclass(frozen=True)
class Figures:
    """Of the jobs that ended in a window. Durations are seconds; what nothing is known of is missing."""

    by_status: Mapping[Status, int]
    counts: Mapping[str, int]  # by measure: how many jobs have it
    means: Mapping[str, float]
    percentiles: Mapping[str, float] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return sum(self.by_status.values())

    @property
    def success_rate(self) -> float | None:
        """Completed among those that ran their course; a cancelled one is nobody's failure."""
        judged = self.total - self.by_status[Status.CANCELLED]
        return self.by_status[Status.COMPLETED] / judged if judged else None


@dataclass(frozen=True)
class Window:
    """Figures overall and by model, the busiest first."""

    overall: Figures
    by_model: Mapping[str, Figures]


def count_by_status(session: Session) -> dict[Status, int]:
    """All jobs that are kept, by status."""
    rows = session.execute(select(Job.status, func.count()).group_by(Job.status))
    return dict.fromkeys(Status, 0) | {Status(status): count for status, count in rows}


def read_window(database: Database, *, seconds: float, now: datetime | None = None) -> Window:
    """The figures of the jobs that ended within the last `seconds`."""
    ended = _ended_since(database, seconds, now)
    with database.reading() as session:
        by_model = _counts_and_means(session, ended)
        busiest = sorted(by_model, key=lambda model: (-by_model[model].total, model))[:MODELS_AT_MOST]
        figures: dict[str | None, Figures] = {None: _together(list(by_model.values()))}
        figures |= {model: by_model[model] for model in busiest}
        if session.get_bind().dialect.name == "postgresql":
            percentiles = _percentiles_on_postgres(session, ended)
        else:
            percentiles = _percentiles_on_sqlite(session, ended, figures)
    for model, found in percentiles.items():
        if model in figures:
            known = figures[model]
            figures[model] = Figures(known.by_status, known.counts, known.means, found)
    return Window(figures.pop(None), {str(model): found for model, found in figures.items()})


class WindowReader:
    """
    Reads a window, and again only when REST_FACTOR times as long has passed as reading took.

    While SQLite counts (a quarter of a second for 100,000 jobs), nothing else happens in
    its process; so a page that asks every other second can't hold up the rest.
    """

    def __init__(self, database: Database, seconds: float) -> None:
        self.seconds = seconds
        self._database = database
        self._lock = threading.Lock()
        self._last: Window | None = None
        self._fresh_until = 0.0

    def read(self) -> Window:
        with self._lock:
            started = time.monotonic()
            if self._last is None or started >= self._fresh_until:
                self._last = read_window(self._database, seconds=self.seconds)
                ended = time.monotonic()
                self._fresh_until = ended + REST_FACTOR * (ended - started)
            return self._last


def _ended_since(database: Database, seconds: float, now: datetime | None) -> CTE:
    started, created = type_coerce(Job.started_at, Double), type_coerce(Job.created_at, Double)
    waiting = case((started < created, literal(0.0, Double)), else_=started - created)  # clocks may differ
    return (
        select(
            Job.model,
            Job.status,
            waiting.label("waiting"),
            Job.processing_seconds.label("processing"),
            Job.tokens_per_second,
        )
        .where(Job.completed_at >= earlier(database.moment(now), seconds))
        .cte("ended")
        .prefix_with("MATERIALIZED", dialect="sqlite")  # one of its statements reads it dozens of times
    )


def _counts_and_means(session: Session, ended: CTE) -> dict[str, Figures]:
    statuses = sorted(FINAL)
    counted = [func.count().filter(ended.c.status == status) for status in statuses]
    measured = [of(ended.c[measure]) for of in (func.count, func.avg) for measure in _MEASURES]
    found = {}
    for model, *values in session.execute(select(ended.c.model, *counted, *measured).group_by(ended.c.model)):
        numbers = iter(values)
        by_status = {status: next(numbers) for status in statuses}
        counts = {measure: next(numbers) for measure in _MEASURES}
        means = {measure: next(numbers) for measure in _MEASURES}
        means = {measure: mean for measure, mean in means.items() if mean is not None}
        found[model] = Figures(by_status, counts, means)
    return found


def _together(parts: list[Figures]) -> Figures:
    by_status = {status: sum(part.by_status[status] for part in parts) for status in sorted(FINAL)}
    counts = {measure: sum(part.counts[measure] for part in parts) for measure in _MEASURES}
    means = {
        measure: sum(part.means.get(measure, 0.0) * part.counts[measure] for part in parts) / count
        for measure, count in counts.items()
        if count
    }
    return Figures(by_status, counts, means)


def _percentiles_on_postgres(session: Session, ended: CTE) -> dict[str | None, dict[str, float]]:
    wanted = [func.percentile_disc(PERCENTILE).within_group(ended.c[measure]) for measure in _TIMED]
    rows = [(None, *session.execute(select(*wanted)).one())]
    rows += [tuple(row) for row in session.execute(select(ended.c.model, *wanted).group_by(ended.c.model))]
    return {
        model: {measure: value for measure, value in zip(_TIMED, values, strict=True) if value is not None}
        for model, *values in rows
    }


def _percentiles_on_sqlite(
    session: Session, ended: CTE, figures: Mapping[str | None, Figures]
) -> dict[str | None, dict[str, float]]:
    """From the top down: the sort keeps 5% of the rows only (a fifth of a window function's time)."""
    places = [
        (model, measure) for model, known in figures.items() for measure in _TIMED if known.counts[measure]
    ]
    if not places:
        return {}
    terms = []
    for number, (model, measure) in enumerate(places):
        count, value = figures[model].counts[measure], ended.c[measure]
        term = select(literal(number).label("place"), value.label("value")).where(value.is_not(None))
        if model is not None:
            term = term.where(ended.c.model == model)
        above = count - math.ceil(PERCENTILE * count)
        terms.append(select(term.order_by(value.desc()).limit(1).offset(above).subquery()))
    found: dict[str | None, dict[str, float]] = {}
    for number, value in session.execute(union_all(*terms)):
        model, measure = places[number]
        found.setdefault(model, {})[measure] = value
    return found
