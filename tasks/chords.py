"""
Native chords: which tasks of a chord have ended, and sending its body after the last.

Celery's fallback polls with a task of its own (`chord_unlock`), which would carry
the body's prompt through Redis and use a slot every second.
"""

import logging
from typing import Any

from celery.exceptions import ChordError
from celery.result import GroupResult, allow_join_result
from sqlalchemy import func, select, update

from jobs.database import Database
from jobs.errors import JobsError
from jobs.instants import utc_now
from jobs.models import Chord, ChordPart

JOIN_SECONDS = 10.0  # every result is there already
log = logging.getLogger(__name__)


def open_chord(database: Database, group_id: str) -> None:
    """Before the first task is sent, so that there is a row to lock from the first one that ends."""
    with database.writing() as session:
        session.merge(Chord(group_id=group_id, size=None, created_at=utc_now()))


def set_size(database: Database, group_id: str, size: int) -> None:
    """How many tasks the chord waits for; told before its last task is sent."""
    with database.writing() as session:
        session.execute(update(Chord).where(Chord.group_id == group_id).values(size=size))


def is_complete_with(database: Database, group_id: str, task_id: str) -> bool:
    """
    Note that a task has ended; whether all have.

    True again for a task that is told of twice: what a crash left unsent is sent
    then, and the body's fixed id keeps it one job.
    """
    with database.writing() as session:
        # Locked first: two last tasks that end at once must not each miss the other.
        chord = session.get(Chord, group_id, with_for_update=True)
        session.merge(ChordPart(group_id=group_id, task_id=task_id))
        session.flush()
        ended = session.execute(
            select(func.count()).select_from(ChordPart).where(ChordPart.group_id == group_id)
        ).scalar_one()
        return chord is not None and chord.size is not None and ended >= chord.size


def send_body(backend: Any, group_id: str, body: Any) -> None:
    """Send the chord's body with the results in order, or fail it when one of the tasks failed."""
    header = GroupResult.restore(group_id, backend=backend, app=backend.app)
    try:
        with allow_join_result():
            results = header.join(timeout=JOIN_SECONDS, propagate=True)
    except Exception as error:  # whatever the failed task raised
        log.info("chord %s: a task failed (%s)", group_id, type(error).__name__)
        backend.chord_error_from_stack(body, ChordError(f"A task of the chord failed: {error}"))
        return
    try:
        body.apply_async((results,))
    except JobsError as error:
        log.warning("chord %s: its body was not accepted: %s", group_id, error)
        backend.chord_error_from_stack(body, ChordError(f"The chord's body was not accepted: {error}"))
