"""Many jobs, the newest first, a page at a time."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, Text, and_, cast, func, literal, or_, select
from sqlalchemy.orm import Session

from jobs.errors import InvalidRequest
from jobs.instants import Instant, isoformat
from jobs.models import Job
from jobs.states import Status


@dataclass(frozen=True)
class JobFilter:
    """Which jobs to list; None does not restrict. `created_after` and `created_before` are exclusive."""

    key_id: str | None = None
    status: Status | None = None
    model: str | None = None
    kind: str | None = None
    service: str | None = None
    priority: int | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


def list_jobs(
    session: Session, wanted: JobFilter, *, limit: int, cursor: str | None = None
) -> tuple[list[Job], str | None]:
    """
    Jobs, the newest first.

    Returns:
        At most `limit` jobs, and the cursor of the next page, None on the last.

    Raises:
        InvalidRequest: the cursor is not one of ours.
    """
    found = list(session.execute(list_statement(wanted, limit=limit + 1, cursor=cursor)).scalars())
    more = found[limit:]
    found = found[:limit]
    return found, _write_cursor(found[-1]) if more else None


def list_statement(wanted: JobFilter, *, limit: int, cursor: str | None = None) -> Select[Job]:
    """One SELECT in the order of an index that ends with `created_at, id`, so that a page costs a page."""
    statement: Select[Job] = select(Job).where(*_conditions(wanted))
    if cursor is not None:
        created_at, job_id = _read_cursor(cursor)
        older = or_(Job.created_at < created_at, and_(Job.created_at == created_at, Job.id < job_id))
        statement = statement.where(Job.created_at <= created_at, older)
    return statement.order_by(Job.created_at.desc(), Job.id.desc()).limit(limit)


def _conditions(wanted: JobFilter) -> list[ColumnElement[bool]]:
    equal: tuple[tuple[Any, Any], ...] = (
        (Job.key_id, wanted.key_id),
        (Job.status, wanted.status),
        (Job.model, wanted.model),
        (Job.kind, wanted.kind),
        (Job.service, wanted.service),
        (Job.priority, wanted.priority),
    )
    conditions = [column == value for column, value in equal if value is not None]
    if wanted.created_after is not None:
        conditions.append(Job.created_at > literal(wanted.created_after, Instant))
    if wanted.created_before is not None:
        conditions.append(Job.created_at < literal(wanted.created_before, Instant))
    return conditions + [_has_label(name, value) for name, value in wanted.metadata.items()]


def _has_label(name: str, value: str) -> ColumnElement[bool]:
    """
    Whether the metadata has exactly this.

    By the text that `json.dumps` made of a flat object of strings, and not by the databases' JSON
    functions: SQLite has no path for a name with a quote, and Postgres can't make a text of any
    value of an object that holds a NUL. `replace` tells upper from lower case on both; LIKE does not.
    """
    entry = f", {json.dumps(name)}: {json.dumps(value)}"
    text = literal(", ") + func.substr(cast(Job.labels, Text), 2)  # ', "a": "b", "c": "d"}'
    return func.replace(text, entry, "") != text


def _write_cursor(job: Job) -> str:
    text = json.dumps([isoformat(job.created_at), job.id])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> tuple[datetime, str]:
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        created_at, job_id = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        moment = datetime.fromisoformat(created_at)
        if moment.tzinfo is None or not job_id.isprintable():  # Postgres takes no NUL, not even to compare
            raise ValueError
        return moment, job_id
    except (ValueError, TypeError, AttributeError, binascii.Error):
        raise InvalidRequest("cursor: not one that a list answered with as next_cursor") from None
