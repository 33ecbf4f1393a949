"""What keys have used, counted from the jobs that ended: by key and model, and for a limit on tokens."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from jobs.database import Database
from jobs.instants import earlier, utc_now
from jobs.models import Job


@dataclass(frozen=True)
class Usage:
    """One key's jobs on one model, of those that ended in a window."""

    key_id: str
    model: str
    jobs: int
    prompt_tokens: int
    output_tokens: int
    processing_seconds: float


def read_usage(
    database: Database, *, seconds: float, key_id: str | None = None, now: datetime | None = None
) -> list[Usage]:
    """
    By key and model, those with the most tokens first.

    Args:
        key_id: Only of this key.
    """
    prompt = func.coalesce(func.sum(Job.prompt_tokens), 0)
    output = func.coalesce(func.sum(Job.output_tokens), 0)
    statement = (
        select(
            Job.key_id,
            Job.model,
            func.count(),
            prompt,
            output,
            func.coalesce(func.sum(Job.processing_seconds), 0.0),
        )
        .where(Job.completed_at >= earlier(database.moment(now), seconds))
        .group_by(Job.key_id, Job.model)
        .order_by((prompt + output).desc(), Job.key_id, Job.model)
    )
    if key_id is not None:
        statement = statement.where(Job.key_id == key_id)
    with database.reading() as session:
        return [
            Usage(key, model, jobs, int(asked or 0), int(answered or 0), float(took or 0.0))
            for key, model, jobs, asked, answered, took in session.execute(statement)
        ]


def tokens_used(
    database: Database, key_id: str, *, seconds: float, now: datetime | None = None
) -> tuple[int, float]:
    """The tokens of the key's jobs that ended within the last `seconds`, and how long ago the first did."""
    since = earlier(database.moment(now), seconds)
    used = func.coalesce(Job.prompt_tokens, 0) + func.coalesce(Job.output_tokens, 0)
    statement = select(func.coalesce(func.sum(used), 0), func.min(Job.completed_at)).where(
        Job.completed_at >= since, Job.key_id == key_id
    )
    with database.reading() as session:
        total, first = session.execute(statement).one()
    ago = 0.0 if first is None else ((now or utc_now()) - first).total_seconds()
    return int(total), max(0.0, ago)
