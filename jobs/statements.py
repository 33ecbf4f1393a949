"""
The statements of every job's life, built once.

Building a statement costs several times as much as running it; on an idle system
it would be most of what lies between a submit and its first token. What is rarer
is built where it is used.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Double,
    Executable,
    Integer,
    Select,
    and_,
    bindparam,
    case,
    func,
    insert,
    literal_column,
    not_,
    null,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from jobs.instants import later
from jobs.models import Base, Job, JobPayload, JobResult
from jobs.positions import POSITION_CAP
from jobs.prepared import Prepared
from jobs.states import Status

JOBS = Base.metadata.tables[Job.__tablename__]
PAYLOADS = Base.metadata.tables[JobPayload.__tablename__]
RESULTS = Base.metadata.tables[JobResult.__tablename__]

SHORT_LINE = 100  # jobs: the keeper lengthens a line each second

# Parameters: none may be named as a column, which SQLAlchemy reserves for VALUES.
_JOB_ID: ColumnElement[str] = bindparam("of_job")
_CLAIM: ColumnElement[int] = bindparam("of_claim")


def _pending(table: Any) -> ColumnElement[bool]:
    """With a literal, or the databases don't see that a partial index fits."""
    is_pending: ColumnElement[bool] = table.c.status == literal_column(f"'{Status.PENDING}'")
    return is_pending


_PENDING = _pending(JOBS)
_LINED_UP = and_(_PENDING, JOBS.c.due_at.is_not(None))
_LINE = (JOBS.c.model, JOBS.c.key_id, JOBS.c.priority)
# A row of these reads as a Job does, of which to make one takes longer than to find it.
AS_JOB = [column.label(Job.__mapper__.get_property_by_column(column).key) for column in JOBS.c]
_RUNNING = JOBS.c.status == literal_column(f"'{Status.PROCESSING}'")


@dataclass(frozen=True)
class JobStatements:
    """Statements for one dialect; each takes `now` besides what its name says."""

    submit: Prepared
    submit_delayed: Prepared
    payload: Prepared
    claim: Prepared
    renew: Prepared
    finish: Prepared
    result: Prepared


def build_statements(dialect: str, clock: ColumnElement[Any]) -> JobStatements:
    """
    The statements.

    Args:
        dialect: "sqlite" or "postgresql".
        clock: The present, from `Database.clock`.
    """
    run = update(JOBS).where(JOBS.c.id == _JOB_ID, _RUNNING, JOBS.c.claim == _CLAIM)
    lease_until = later(clock, bindparam("lease_seconds", type_=Double))
    return JobStatements(
        submit=Prepared(_submit(dialect, clock, is_delayed=False)),
        submit_delayed=Prepared(_submit(dialect, clock, is_delayed=True)),
        payload=Prepared(insert(PAYLOADS)),
        claim=Prepared(_claim(clock, lease_until)),
        renew=Prepared(run.values(lease_until=lease_until).returning(JOBS.c.id)),
        finish=Prepared(_finish(run, clock)),
        result=Prepared(insert(RESULTS)),
    )


def _submit(dialect: str, clock: ColumnElement[Any], *, is_delayed: bool) -> Executable:
    """A row that is not there yet, and the row; RETURNING nothing means that there was one."""
    make: Any = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}[dialect]
    given = ("id", "task", "kind", "service", "model", "key_id", "priority", "metadata", "timeout_seconds")
    values: dict[str, Any] = {name: bindparam(name, type_=JOBS.c[name].type) for name in given}
    values |= {
        "has_successors": bindparam("has_successors", type_=JOBS.c.has_successors.type),
        "status": literal_column(f"'{Status.PENDING}'"),
        "created_at": clock,
        "deadline_at": later(clock, bindparam("deadline_seconds", type_=Double)),
        "claim": 0,
        "attempts": 0,
        "worker_losses": 0,
        "successors_pending": False,
    }
    if is_delayed:
        not_before = later(clock, bindparam("delay_seconds", type_=Double))
        values |= {"publication": 0, "not_before": not_before}
    else:
        model, key_id, priority = (values[name] for name in ("model", "key_id", "priority"))
        has_room = _has_room(model, key_id, priority, bindparam("line_up", type_=Integer))
        due_at = later(clock, bindparam("due_seconds", type_=Double))
        values |= {
            name: case((has_room, value))
            for name, value in {"released_at": clock, "published_at": clock, "due_at": due_at}.items()
        }
        values["publication"] = case((has_room, 1), else_=0)
    is_lined_up = JOBS.c.publication > 0
    place = null() if is_delayed else case((is_lined_up, _place(values["model"], due_at, values["id"])))
    submit = make(JOBS).values(values).on_conflict_do_nothing()
    statement: Executable = submit.returning(*AS_JOB, place.label("place"))
    return statement


def _place(model: Any, due_at: Any, job_id: Any) -> ColumnElement[Any]:
    """
    Its `queue_position` if it is lined up.

    With the row, because a question of its own takes half as long as the whole submit. The due time is
    a subquery: Postgres reads its clock anew for every row that a comparison looks at, and uses no index.
    """
    other = JOBS.alias("other_job")
    ahead = select(other.c.id).where(
        *(_pending(other), other.c.released_at.is_not(None), other.c.model == model),
        tuple_(other.c.due_at, other.c.id) < tuple_(select(due_at).scalar_subquery(), job_id),
    )
    return select(func.count()).select_from(ahead.limit(POSITION_CAP).subquery()).scalar_subquery()


def _has_room(model: Any, key_id: Any, priority: Any, line_up: Any) -> ColumnElement[bool]:
    """
    Whether one more job may be lined up; asked once a statement, of two indexes.

    Behind others that are held back none is: a flood is told by its first held job, and
    only who has none is counted.
    """
    own = (JOBS.c.model == model, JOBS.c.key_id == key_id, JOBS.c.priority == priority)
    lined_up = select(JOBS.c.id).where(_LINED_UP, *own).limit(line_up).subquery()
    count = select(func.count()).select_from(lined_up).scalar_subquery()
    is_held = _is_held(model, key_id, priority)
    room = select(and_(not_(is_held), count < line_up).label("has_room")).cte("room")
    return select(room.c.has_room).scalar_subquery()


def _is_held(model: Any, key_id: Any, priority: Any) -> ColumnElement[bool]:
    """Whether the line has a job that is held back."""
    job = JOBS.alias("held_job")
    is_held = and_(_pending(job), job.c.released_at.is_(None), job.c.not_before.is_(None))
    return _of_line(job, is_held, (model, key_id, priority)).exists()


def _is_short(model: Any, key_id: Any, priority: Any) -> ColumnElement[bool]:
    """Whether so little of the line is lined up that it could run out before the keeper sees to it."""
    job = JOBS.alias("lined_up_job")
    is_lined_up = and_(_pending(job), job.c.due_at.is_not(None))
    return not_(_of_line(job, is_lined_up, (model, key_id, priority)).limit(1).offset(SHORT_LINE).exists())


def _of_line(job: Any, condition: ColumnElement[bool], line: tuple[Any, Any, Any]) -> Select[Any]:
    """The jobs of a line for which this is so, for a subquery of a statement that changes jobs."""
    # Under names of their own: in RETURNING SQLAlchemy leaves out the tables' names.
    names = (job.c.model.label("of_model"), job.c.key_id.label("of_key"), job.c.priority.label("at_level"))
    found = select(*names).where(condition).subquery(f"{job.name}s")
    return select(found.c.at_level).where(*(own == its for own, its in zip(found.c, line, strict=True)))


def _claim(clock: ColumnElement[Any], lease_until: ColumnElement[Any]) -> Executable:
    return (
        update(JOBS)
        .where(
            JOBS.c.id == _JOB_ID,
            _PENDING,
            JOBS.c.publication == bindparam("of_publication"),
            or_(JOBS.c.deadline_at.is_(None), JOBS.c.deadline_at > clock),
        )
        .values(
            status=Status.PROCESSING.value,
            claim=JOBS.c.claim + 1,
            worker=bindparam("by_worker"),
            started_at=clock,
            lease_until=lease_until,
        )
        .returning(
            JOBS.c.claim,
            JOBS.c.started_at,
            JOBS.c.task,
            JOBS.c.kind,
            JOBS.c.model,
            JOBS.c.key_id,
            JOBS.c.priority,
            and_(_is_held(*_LINE), _is_short(*_LINE)).label("needs_next"),
            JOBS.c.attempts,
            JOBS.c.worker_losses,
            JOBS.c.timeout_seconds,
            _of_payload(PAYLOADS.c.input),
            _of_payload(PAYLOADS.c.canvas),
        )
    )


def _of_payload(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """A column of the job's payload, beside those of its row: one statement instead of two."""
    of_job = select(column).where(PAYLOADS.c.job_id == JOBS.c.id)
    return of_job.correlate(JOBS).scalar_subquery().label(column.key)


def _finish(run: Any, clock: ColumnElement[Any]) -> Executable:
    figures = (
        *("processing_seconds", "load_seconds", "first_token_seconds"),
        *("prompt_tokens", "output_tokens", "tokens_per_second"),
    )
    statement: Executable = run.values(
        status=Status.COMPLETED.value,
        completed_at=clock,
        lease_until=None,
        successors_pending=JOBS.c.has_successors,
        error_code=None,
        error_message=None,
        **{name: bindparam(f"new_{name}", type_=JOBS.c[name].type) for name in figures},
    ).returning(JOBS.c.id)
    return statement
