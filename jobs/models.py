"""
The tables.

A job is spread over three: `jobs` is narrow, because it is written several
times in a job's life; what was asked and what came out can be megabytes and are
written once each.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    ColumnElement,
    Double,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    String,
    Text,
    and_,
    literal_column,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from jobs.instants import Instant
from jobs.states import Status

ID_LENGTH = 155  # Celery's own limit for a task id; canvas brings ids of its own


class Base(DeclarativeBase):
    type_annotation_map = {datetime: Instant, float: Double, dict[str, Any]: JSON}


class Job(Base):
    """One request to a model, from its submission until it is purged."""

    __tablename__ = "jobs"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    status: Mapped[str] = mapped_column(String(10))
    task: Mapped[str] = mapped_column(String(100))  # Celery's name of it: tasks.generate
    kind: Mapped[str] = mapped_column(String(10))
    service: Mapped[str | None] = mapped_column(String(64))
    model: Mapped[str] = mapped_column(String(255))
    key_id: Mapped[str] = mapped_column(String(36))
    priority: Mapped[int] = mapped_column(SmallInteger)  # as submitted; 0 is the most urgent
    labels: Mapped[dict[str, Any]] = mapped_column("metadata", JSON)  # the user's metadata

    created_at: Mapped[datetime]
    not_before: Mapped[datetime | None]  # countdown, eta, back-off
    deadline_at: Mapped[datetime | None]  # not started by then: expired
    timeout_seconds: Mapped[float | None]

    # Release to the broker. A publication number makes every older message void.
    released_at: Mapped[datetime | None]
    due_at: Mapped[datetime | None]
    published_at: Mapped[datetime | None]
    publication: Mapped[int] = mapped_column(default=0)

    # The run. `claim` is the fencing token and only grows; `attempts` is the budget.
    claim: Mapped[int] = mapped_column(default=0)
    attempts: Mapped[int] = mapped_column(SmallInteger, default=0)
    # Of the attempts, lost together with their whole worker: `Policy.is_spent`.
    worker_losses: Mapped[int] = mapped_column(SmallInteger, default=0, server_default=text("0"))
    lease_until: Mapped[datetime | None]
    worker: Mapped[str | None] = mapped_column(String(255))
    started_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]

    # Links, chain members and chords: whether there are any, and whether they are still to be told.
    has_successors: Mapped[bool] = mapped_column(Boolean, default=False)
    successors_pending: Mapped[bool] = mapped_column(Boolean, default=False)

    processing_seconds: Mapped[float | None]
    load_seconds: Mapped[float | None]
    first_token_seconds: Mapped[float | None]  # from the start of the run
    prompt_tokens: Mapped[int | None]
    output_tokens: Mapped[int | None]
    tokens_per_second: Mapped[float | None]
    error_code: Mapped[str | None] = mapped_column(String(64))
    error_message: Mapped[str | None] = mapped_column(Text)

    __mapper_args__ = {"eager_defaults": False}


class JobPayload(Base):
    """What was asked: the input, and what Celery needs to go on after the job."""

    __tablename__ = "job_payloads"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    input: Mapped[dict[str, Any]]
    canvas: Mapped[dict[str, Any] | None]


class JobResult(Base):
    """What came out: `result` is Ollama's final object, `result_data` the text, message or embeddings."""

    __tablename__ = "job_results"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    result: Mapped[dict[str, Any] | None]
    result_data: Mapped[Any] = mapped_column(JSON)


class Attempt(Base):
    """One run that failed, with its reason."""

    __tablename__ = "attempts"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    claim: Mapped[int] = mapped_column(primary_key=True)
    worker: Mapped[str | None] = mapped_column(String(255))
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime]
    code: Mapped[str] = mapped_column(String(64))
    message: Mapped[str] = mapped_column(Text)


class HistoryEntry(Base):
    """
    What the row no longer says: a moment that a later one took the place of, or that has no column.

    Written in the transactions of what is rare (a job goes back, is moved, is run again); the
    usual job has none. `jobs/history.py` puts the timeline together.
    """

    __tablename__ = "job_history"

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), index=True)
    at: Mapped[datetime]
    event: Mapped[str] = mapped_column(String(20))
    detail: Mapped[dict[str, Any]]


class Submission(Base):
    """An `Idempotency-Key` and the job that it made; kept as long as the job."""

    __tablename__ = "submissions"

    key_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    value: Mapped[str] = mapped_column(String(255), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64))  # of what was asked
    job_id: Mapped[str] = mapped_column(String(ID_LENGTH), index=True)


class Chord(Base):
    """How many tasks a chord waits for."""

    __tablename__ = "chords"

    group_id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    size: Mapped[int | None]  # not known until the last one is sent
    created_at: Mapped[datetime] = mapped_column(index=True)


class ChordPart(Base):
    """A task of a chord that has ended. A row each and no counter, so that telling twice counts once."""

    __tablename__ = "chord_parts"

    group_id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    task_id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)


class ApiKey(Base):
    """A key's hash and what it may do. Keys are revoked, never deleted: jobs refer to them."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    role: Mapped[str] = mapped_column(String(10))
    prefix: Mapped[str] = mapped_column(String(16))  # the key's first characters, to tell keys apart
    key_hash: Mapped[str | None] = mapped_column(String(64), unique=True)  # None: no key opens it
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]  # to the minute

    # The secret before the last rotation, and until when it still opens.
    previous_hash: Mapped[str | None] = mapped_column(String(64))
    previous_until: Mapped[datetime | None]

    # Its limits; None: none. `jobs/key_limits.py` says what they mean.
    default_priority: Mapped[int | None] = mapped_column(SmallInteger)
    priority_ceiling: Mapped[int | None] = mapped_column(SmallInteger)
    allowed_models: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    on_disconnect: Mapped[str | None] = mapped_column(String(10))
    requests_per_minute: Mapped[int | None]
    tokens_per_minute: Mapped[int | None]
    max_pending: Mapped[int | None]


class Model(Base):
    """A model that some worker's Ollama has or had: what is known while no worker reports."""

    __tablename__ = "models"

    name: Mapped[str] = mapped_column(String(255), primary_key=True)  # normalised
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    can_complete: Mapped[bool]
    seen_at: Mapped[datetime]


class ActiveModel(Base):
    """What an operator chose for requests that name no model: one row, or none."""

    __tablename__ = "active_model"

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    model: Mapped[str] = mapped_column(String(255))
    chosen_at: Mapped[datetime]


class PausedQueue(Base):
    """A model whose jobs an operator lets wait."""

    __tablename__ = "paused_queues"

    model: Mapped[str] = mapped_column(String(255), primary_key=True)  # normalised
    paused_at: Mapped[datetime]


def _only(condition: str) -> dict[str, Any]:
    """A partial index in both databases' terms."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


_PENDING = f"status = '{Status.PENDING}'"
_RUNNING = f"status = '{Status.PROCESSING}'"

# Literals and not bound values, or the databases don't see that a partial index fits.
IS_PENDING: ColumnElement[bool] = Job.status == literal_column(f"'{Status.PENDING}'")
IS_RUNNING: ColumnElement[bool] = Job.status == literal_column(f"'{Status.PROCESSING}'")
IS_RELEASED: ColumnElement[bool] = Job.released_at.is_not(None)
IS_LINED_UP: ColumnElement[bool] = and_(IS_PENDING, Job.due_at.is_not(None))  # the same, by ix_jobs_lined_up
# Pending, and neither in the queue nor delayed: its key has enough lined up.
IS_HELD: ColumnElement[bool] = and_(IS_PENDING, Job.released_at.is_(None), Job.not_before.is_(None))

# One for each query that exists; the partial ones stay as small as the queue itself. These begin with
# the one value that they have, or SQLite prefers ix_jobs_status, reads every pending row and sorts.
Index("ix_jobs_owner", Job.key_id, Job.created_at, Job.id)  # GET /api/llm/jobs/
Index("ix_jobs_newest", Job.created_at, Job.id)  # the same for an admin
Index("ix_jobs_status", Job.status, Job.created_at, Job.id)  # ?status=
Index("ix_jobs_model", Job.model, Job.created_at, Job.id)  # ?model=
Index("ix_jobs_lease", Job.status, Job.lease_until, **_only(_RUNNING))  # reaper
Index(  # due retries
    "ix_jobs_not_before", Job.status, Job.not_before, **_only(f"{_PENDING} AND released_at IS NULL")
)
Index(  # reconciler
    "ix_jobs_published", Job.status, Job.published_at, **_only(f"{_PENDING} AND released_at IS NOT NULL")
)
Index("ix_jobs_position", Job.model, Job.due_at, Job.id, **_only(f"{_PENDING} AND released_at IS NOT NULL"))
# These two have all columns of their condition, or SQLite counts by reading each row.
_LINE = (Job.status, Job.model, Job.key_id, Job.priority)
Index(  # the window: what a key has lined up, in the order in which it will be served
    "ix_jobs_lined_up",
    *(*_LINE, Job.due_at, Job.id),
    **_only(f"{_PENDING} AND due_at IS NOT NULL"),
)
Index(  # and what is held back, in the order in which it will be released
    "ix_jobs_held",
    *(*_LINE, Job.created_at, Job.id, Job.released_at, Job.not_before),
    **_only(f"{_PENDING} AND released_at IS NULL AND not_before IS NULL"),
)
Index(  # expiry
    "ix_jobs_deadline", Job.status, Job.deadline_at, **_only(f"{_PENDING} AND deadline_at IS NOT NULL")
)
Index("ix_jobs_completed", Job.completed_at, **_only("completed_at IS NOT NULL"))  # statistics
Index("ix_jobs_backlog", Job.status, Job.model, Job.priority, Job.created_at, **_only(_PENDING))  # queues
Index("ix_jobs_pending_of_key", Job.key_id, **_only(_PENDING))  # a key's limit on pending jobs
Index("ix_api_keys_previous_hash", ApiKey.previous_hash, unique=True)  # keys in rotation
Index(
    "ix_jobs_successors",
    Job.successors_pending,
    Job.completed_at,
    sqlite_where=text("successors_pending = 1"),
    postgresql_where=text("successors_pending"),
)  # crash between finish and links
