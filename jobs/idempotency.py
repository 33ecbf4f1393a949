"""
`Idempotency-Key`: a submission that is repeated is the same job.

The value is noted in the transaction that writes the job, under a unique index, so of many
that come at once one makes the job, whichever process they reach.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Executable, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from jobs.database import Database
from jobs.errors import IdempotencyConflict
from jobs.models import Base, Submission

MAX_LENGTH = 255
_NOTES = Base.metadata.tables[Submission.__tablename__]
_OF_VALUE = select(_NOTES.c.job_id, _NOTES.c.digest).where(
    _NOTES.c.key_id == bindparam("of_key"), _NOTES.c.value == bindparam("of_value")
)
_MAKERS: dict[str, Callable[..., Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
_NOTE: dict[str, Executable] = {
    name: make(_NOTES).on_conflict_do_nothing().returning(_NOTES.c.job_id) for name, make in _MAKERS.items()
}


@dataclass(frozen=True)
class Once:
    """
    Submit this at most once.

    Attributes:
        value: The caller's own, up to MAX_LENGTH characters; it counts among those of one API key.
        digest: Of all that was asked: the same value for something else is refused.
    """

    value: str
    digest: str


def earlier_job(database: Database, key_id: str, once: Once) -> str | None:
    """
    The job that this submission has made already.

    Raises:
        IdempotencyConflict: the value was used for another submission.
    """
    with database.engine.connect() as connection:
        earlier = _find(connection, key_id, once)
    return None if earlier is None else same_job(earlier, once)


def note(connection: Connection, key_id: str, once: Once, job_id: str) -> Any:
    """Note the submission; returns None, or what was noted before it."""
    values = {"key_id": key_id, "value": once.value, "digest": once.digest, "job_id": job_id}
    made = connection.execute(_NOTE[connection.dialect.name], values).one_or_none()
    return _find(connection, key_id, once) if made is None else None


def same_job(earlier: Any, once: Once) -> str:
    """
    The job of an earlier submission, which asked the same.

    Raises:
        IdempotencyConflict: it did not.
    """
    if earlier.digest != once.digest:
        raise IdempotencyConflict
    return str(earlier.job_id)


def _find(connection: Connection, key_id: str, once: Once) -> Any:
    return connection.execute(_OF_VALUE, {"of_key": key_id, "of_value": once.value}).one_or_none()
