"""
Publishing a job: the message after the row.

A publication that fails is not an error: the row is committed, and the
reconciler publishes it again. Behind a breaker, because with Redis away a
try may last as long as its time-out, and a submit would wait for it; the
catalog, which a submit asks first, is behind the same one.
"""

import logging
from collections.abc import Sequence

import redis

from jobs.breaker import Breaker
from jobs.instants import utc_now
from jobs.records import Publication
from jobs.round_trips import Command, RoundTrip
from jobs.scheduling import current_level
from tasks.messages import make_message
from tasks.queue_lists import list_names, queue_name

log = logging.getLogger(__name__)


breaker = Breaker()


def publish(
    send: RoundTrip,
    publications: Sequence[Publication],
    *,
    ageing_seconds: float,
    serve_next: bool = False,
) -> bool:
    """
    Send the messages about these jobs, in their order and one round trip.

    Args:
        send: Raises `redis.RedisError` or OSError while Redis is away.
        serve_next: Put them where the next job is taken from, for those that go back:
            the last of them is then served first.

    Returns:
        Whether the broker has them. If not, the reconciler will see to it.
    """
    if not publications or not breaker.allows():
        return not publications
    try:
        send(_messages(publications, ageing_seconds, serve_next))
    except (redis.RedisError, OSError) as error:
        breaker.failed()
        log.warning("job %s is not published yet: %s", publications[0].job_id, type(error).__name__)
        return False
    breaker.succeeded()
    return True


def _messages(publications: Sequence[Publication], ageing_seconds: float, serve_next: bool) -> list[Command]:
    now = utc_now()
    # kombu takes from the right.
    push = "RPUSH" if serve_next else "LPUSH"
    commands: list[Command] = []
    for publication in publications:
        level = current_level(publication.due_at, now, ageing_seconds)
        queue = queue_name(publication.model)
        commands.append((push, list_names(queue)[level], make_message(publication, queue, level)))
    return commands
