"""
Which models' queues are paused: their jobs wait, and new ones are accepted.

    paddock:paused   set of models' names. Workers skip them from their next job on

The table is the truth and survives a Redis that is flushed; the leading keeper copies it once a second.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from jobs.database import Database
from jobs.instants import utc_now
from jobs.models import PausedQueue

PAUSED_KEY = "paddock:paused"
_ALL_PAUSED = select(PausedQueue.model, PausedQueue.paused_at)


def paused_models(client: Any) -> set[str]:
    """Their names."""
    return set(client.smembers(PAUSED_KEY))


def read_paused(session: Session) -> dict[str, datetime]:
    """Since when each paused model is."""
    rows = session.execute(_ALL_PAUSED)
    return {row.model: row.paused_at for row in rows}


def pause_queue(database: Database, model: str, *, now: datetime | None = None) -> None:
    """Start no further job of a (normalised) model; one that is paused already stays so."""
    with database.writing() as session:
        if session.get(PausedQueue, model) is None:
            session.add(PausedQueue(model=model, paused_at=now or utc_now()))


def resume_queue(database: Database, model: str) -> None:
    """Start its jobs again; a queue that is not paused stays as it is."""
    with database.writing() as session:
        session.execute(delete(PausedQueue).where(PausedQueue.model == model))


def tell_workers(database: Database, client: Any) -> int:
    """
    Copy the table to where workers look; returns how many queues are paused.

    Raises:
        redis.RedisError: they are told later, by the keeper.
    """
    with database.reading() as session:
        wanted = set(read_paused(session))
    told = paused_models(client)
    with client.pipeline() as pipeline:
        if told - wanted:
            pipeline.srem(PAUSED_KEY, *(told - wanted))
        if wanted - told:
            pipeline.sadd(PAUSED_KEY, *(wanted - told))
        if pipeline.command_stack:
            pipeline.execute()
    return len(wanted)
