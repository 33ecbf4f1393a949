"""
Releasing what is held back, and taking back what is too much: `scheduling/window.py` in the database.

A job that is taken back gets a new publication number, so that its message is void from
then on, whether or not somebody removes it. Both changes may run twice or in two keepers at
once; on Postgres two that release at once may release too many, which the next sweep
takes back. None of it has to be on the disk at once: after a power cut the jobs are held, or
lined up, as before.

A take-back is not kept in a job's history, which shows its last release: a flood would write
thousands of entries.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from sqlalchemy import ColumnElement, func, select, tuple_, update
from sqlalchemy.orm import Session

from jobs.changes import PUBLICATION_COLUMNS, as_publication
from jobs.database import Database
from jobs.models import IS_HELD, IS_LINED_UP, IS_RUNNING, Job
from jobs.records import Publication
from jobs.scheduling import due_at
from jobs.scheduling.window import Line, Waiting
from jobs.service import JobService

BATCH = 250  # rows a transaction, so that submits get in between
_STEP = timedelta(microseconds=1)  # keeps the order of those that are released together


def read_lines(database: Database) -> dict[Line, Waiting]:
    """
    Every line in which jobs wait.

    Reads an index entry for each job that is lined up, the rows of those that run, and of the backlog
    an entry a line, however large it is.
    """
    columns = (Job.model, Job.key_id, Job.priority)
    lined_up_by_line = select(*columns, func.count()).where(IS_LINED_UP).group_by(*columns)
    with database.reading() as session:
        lined_up = {Line(*row[:3]): row[3] for row in session.execute(lined_up_by_line)}
        running = Counter(Line(*row) for row in session.execute(select(*columns).where(IS_RUNNING)))
        held = set(_held_lines(session))
    return {
        line: Waiting(lined_up.get(line, 0), line in held, running[line]) for line in lined_up.keys() | held
    }


def _held_lines(session: Session) -> Iterator[Line]:
    """From line to line by the index."""
    columns = (Job.model, Job.key_id, Job.priority)
    following = select(*columns).where(IS_HELD).order_by(*columns).limit(1)
    row = session.execute(following).first()
    while row is not None:
        yield Line(*row)
        row = session.execute(following.where(tuple_(*columns) > tuple_(*row))).first()


def release_next(
    service: JobService, line: Line, *, limit: int | None = None, most: int = 1
) -> list[Publication]:
    """
    Release the jobs of a line that have been held back longest.

    Args:
        limit: How many may be lined up then; None: whoever asks has just taken one away.

    Returns:
        The messages to publish, in their order.
    """
    with service.database.writing(durable=False) as session:
        if limit is not None:
            most = min(most, limit - _count_lined_up(session, line, limit))
        if most <= 0:
            return []
        held = (
            select(*PUBLICATION_COLUMNS)
            .where(IS_HELD, *_of(line))
            .order_by(Job.created_at, Job.id)
            .limit(most)
            .with_for_update(skip_locked=True)
        )
        rows = session.execute(held).all()
        moment = session.execute(select(service.database.moment())).scalar_one()
        released: list[Publication] = []
        for rank, row in enumerate(rows):
            at = moment + rank * _STEP
            due = due_at(at, line.priority, service.policy.ageing_seconds)
            values = {
                "released_at": at,
                "due_at": due,
                "published_at": at,
                "publication": row.publication + 1,
            }
            session.execute(update(Job).where(Job.id == row.id, IS_HELD).values(**values))
            released.append(replace(as_publication(row), publication=row.publication + 1, due_at=due))
    return released


def take_back(service: JobService, line: Line, *, keep: int, most: int = BATCH) -> list[Publication]:
    """
    Hold back what is lined up behind the first `keep` jobs of a line.

    Returns:
        The messages that are void now.
    """
    with service.database.writing(durable=False) as session:
        excess = (
            select(*PUBLICATION_COLUMNS)
            .where(IS_LINED_UP, *_of(line))
            .order_by(Job.due_at, Job.id)
            .offset(keep)
            .limit(most)
            .with_for_update()
        )
        rows = session.execute(excess).all()
        held = {"released_at": None, "due_at": None, "published_at": None, "not_before": None}
        back = (
            update(Job)
            .where(Job.id.in_([row.id for row in rows]), IS_LINED_UP)
            .values(**held, publication=Job.publication + 1)
            .returning(Job.id)
        )
        taken = set(session.execute(back).scalars())
    return [as_publication(row) for row in rows if row.id in taken]


def _count_lined_up(session: Session, line: Line, limit: int) -> int:
    lined_up = select(Job.id).where(IS_LINED_UP, *_of(line)).limit(limit).subquery()
    return session.execute(select(func.count()).select_from(lined_up)).scalar_one()


def _of(line: Line) -> tuple[ColumnElement[bool], ...]:
    return (Job.model == line.model, Job.key_id == line.key_id, Job.priority == line.priority)
