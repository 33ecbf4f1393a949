"""Paused queues: the database's word, copied to where workers look."""

from typing import Any

from jobs.database import Database
from jobs.pauses import PAUSED_KEY, pause_queue, paused_models, read_paused, resume_queue, tell_workers
from tests.support.jobs import NOW, SECOND


def paused(database: Database) -> dict[str, Any]:
    with database.reading() as session:
        return read_paused(session)


def test_a_pause_is_kept_until_it_is_lifted(database: Database) -> None:
    """Since its first moment, however often it is asked for."""
    pause_queue(database, "alpha", now=NOW)
    pause_queue(database, "alpha", now=NOW + SECOND)
    assert paused(database) == {"alpha": NOW}
    resume_queue(database, "beta")
    resume_queue(database, "alpha")
    assert paused(database) == {}


def test_workers_are_told_what_the_database_says(sqlite_database: Database, redis_client: Any) -> None:
    """A set that is flushed, or that knows of a pause that is over, is put right."""
    pause_queue(sqlite_database, "alpha")
    redis_client.sadd(PAUSED_KEY, "gone")
    assert tell_workers(sqlite_database, redis_client) == 1
    assert paused_models(redis_client) == {"alpha"}
    redis_client.flushall()
    tell_workers(sqlite_database, redis_client)
    assert paused_models(redis_client) == {"alpha"}
    resume_queue(sqlite_database, "alpha")
    assert tell_workers(sqlite_database, redis_client) == 0
    assert redis_client.exists(PAUSED_KEY) == 0
