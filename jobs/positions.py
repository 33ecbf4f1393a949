"""
`queue_position`: how many jobs run before one that waits.

Of a released job: the released ones of its model that are due before it. Of one that is
held back: all released ones of its model, those of its key's backlog before it, and of each
other key's backlog as many, since the keys are released side by side. Exact up to
POSITION_CAP; every question reads that many index entries of each key at most.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Executable,
    Select,
    and_,
    bindparam,
    case,
    cast,
    func,
    select,
    tuple_,
)
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from jobs.instants import Instant
from jobs.models import IS_HELD, IS_PENDING, IS_RELEASED, Job
from jobs.prepared import Prepared
from jobs.states import Status

POSITION_CAP = 1000  # counting further costs milliseconds at a large backlog, and tells nobody more

# Prepared: these are part of every answer about a waiting job.
_OWN_MODEL: ColumnElement[str] = bindparam("own_model")
_OWN_KEY: ColumnElement[str] = bindparam("own_key")


def _count(jobs: Select[Any], most: Any = POSITION_CAP) -> Any:
    return select(func.count()).select_from(jobs.limit(most).subquery()).scalar_subquery()


# Ordered, or SQLite takes an index that has the backlog in it as well.
_RELEASED = (
    select(Job.id).where(IS_PENDING, IS_RELEASED, Job.model == _OWN_MODEL).order_by(Job.due_at, Job.id)
)
_HELD = select(Job.id).where(IS_HELD, Job.model == _OWN_MODEL)
_HELD_OF_KEY = _HELD.where(Job.key_id == _OWN_KEY)
_HELD_BEFORE = _HELD_OF_KEY.where(
    tuple_(Job.priority, Job.created_at, Job.id)
    < tuple_(bindparam("own_priority"), bindparam("own_created_at", type_=Instant), bindparam("own_id")),
)
_COUNT_AHEAD = Prepared(
    select(
        _count(
            # ix_jobs_position serves this form; with OR, SQLite reads every pending row (4 ms at 30,000).
            _RELEASED.where(
                tuple_(Job.due_at, Job.id)
                < tuple_(bindparam("own_due_at", type_=Instant), bindparam("own_id")),
                Job.id
                != bindparam("own_id"),  # whose due time may have lost its last bit on the way to Python
            )
        )
    )
)
_COUNT_AHEAD_OF_HELD = Prepared(
    select(_count(_RELEASED).label("released"), _count(_HELD_BEFORE).label("rank"))
)


def _next_key(after: Any) -> Any:
    """From key to key by the index; reading all of a large backlog would take as long as it is."""
    key_ids = _HELD.with_only_columns(Job.key_id).where(Job.key_id > after)
    return key_ids.order_by(Job.key_id).limit(1).scalar_subquery()


def _count_of_others() -> Executable:
    """Of each other key's backlog `most` jobs, until there are enough."""
    keys = select(_next_key("").label("key_id"), cast(0, BigInteger).label("ahead")).cte(recursive=True)
    of_key = _count(_HELD.where(Job.key_id == keys.c.key_id).correlate(keys), bindparam("most"))
    ahead = cast(keys.c.ahead + case((keys.c.key_id == _OWN_KEY, 0), else_=of_key), BigInteger)
    is_on = and_(keys.c.key_id.is_not(None), keys.c.ahead < POSITION_CAP)
    walk = keys.union_all(select(_next_key(keys.c.key_id), ahead).where(is_on))
    return select(func.max(walk.c.ahead))


_COUNT_OF_OTHERS = Prepared(_count_of_others())


def queue_position(connection: Connection, job: Job) -> int | None:
    """
    Its place, at most POSITION_CAP; None unless it waits, or while it is delayed.

    Args:
        connection: No session: for statements as short as these it takes as long again.
    """
    own = {"own_model": job.model, "own_id": job.id}
    if is_held(job):
        own |= {"own_key": job.key_id}
        rank_of = {"own_priority": job.priority, "own_created_at": job.created_at}
        released, rank = _COUNT_AHEAD_OF_HELD.run(connection, own | rank_of)[0]
        if released + rank < POSITION_CAP and rank:
            rank += _COUNT_OF_OTHERS.scalar(connection, own | {"most": rank})
        place: int = min(released + rank, POSITION_CAP)
        return place
    if job.status != Status.PENDING or job.due_at is None:
        return None
    ahead: int = _COUNT_AHEAD.scalar(connection, own | {"own_due_at": job.due_at})
    return ahead


def queue_positions(session: Session, found: Iterable[Job]) -> dict[str, int]:
    """The same by job id, for a page of a list: a few queries a model and key."""
    waiting = [job for job in found if job.status == Status.PENDING]
    positions: dict[str, int] = {}
    for model in {job.model for job in waiting}:
        own = [job for job in waiting if job.model == model]
        if any(job.due_at is not None for job in own):
            line = session.execute(_RELEASED.limit(POSITION_CAP), {"own_model": model}).scalars()
            ranks = {job_id: rank for rank, job_id in enumerate(line)}
            positions |= {job.id: ranks.get(job.id, POSITION_CAP) for job in own if job.due_at is not None}
        backlog = _Backlog(session, model)
        positions |= {job.id: backlog.position(job) for job in own if is_held(job)}
    return positions


def is_held(job: Job) -> bool:
    """Whether a job waits in its key's backlog for being released."""
    return job.status == Status.PENDING and job.released_at is None and job.not_before is None


class _Backlog:
    """What is held back of one model, as far as it has been asked for."""

    def __init__(self, session: Session, model: str) -> None:
        self._session = session
        self._model = model
        self._lined_up: int | None = None
        self._of_key: dict[str, int] | None = None
        self._ranks: dict[str, dict[str, int]] = {}

    def position(self, job: Job) -> int:
        """The place of a held job."""
        ahead = self._count_lined_up()
        if ahead < POSITION_CAP:
            rank = self._ranks_of(job.key_id).get(job.id, POSITION_CAP)
            others = self._counts().items()
            ahead += rank + sum(min(count, rank) for key_id, count in others if key_id != job.key_id)
        return min(ahead, POSITION_CAP)

    def _count_lined_up(self) -> int:
        if self._lined_up is None:
            self._lined_up = self._ask(select(_count(_RELEASED))).scalar_one()
        return self._lined_up

    def _ranks_of(self, key_id: str) -> dict[str, int]:
        """The first jobs of a key's backlog in the order of their release."""
        if key_id not in self._ranks:
            in_order = _HELD_OF_KEY.order_by(Job.priority, Job.created_at, Job.id).limit(POSITION_CAP)
            found = self._ask(in_order, key_id).scalars()
            self._ranks[key_id] = {job_id: rank for rank, job_id in enumerate(found)}
        return self._ranks[key_id]

    def _counts(self) -> dict[str, int]:
        """How much each key has held back, counted to the cap."""
        if self._of_key is None:
            self._of_key = {}
            key_id = ""
            while key_id := self._ask(select(_next_key(_OWN_KEY)), key_id).scalar_one():
                self._of_key[key_id] = self._ask(select(_count(_HELD_OF_KEY)), key_id).scalar_one()
        return self._of_key

    def _ask(self, statement: Select[Any], key_id: str | None = None) -> Any:
        return self._session.execute(statement, {"own_model": self._model, "own_key": key_id})
