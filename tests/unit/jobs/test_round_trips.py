"""Several commands in one round trip, by the client and on a connection of one's own."""

from collections.abc import Callable
from typing import Any

import pytest
import redis

from jobs.round_trips import OwnConnection, RoundTrip, by_client

_FILL = [("SET", "a", "1"), ("HSET", "h", "grün", 2.5), ("GET", "a"), ("HGET", "h", "grün")]


@pytest.mark.parametrize("make", [by_client, OwnConnection])
def test_replies_come_in_the_commands_order(redis_client: Any, make: Callable[[Any], RoundTrip]) -> None:
    """As text."""
    assert make(redis_client)(_FILL)[2:] == ["1", "2.5"]


@pytest.mark.parametrize("make", [by_client, OwnConnection])
def test_a_refused_command_leaves_nothing_for_the_next_ones(
    redis_client: Any, make: Callable[[Any], RoundTrip]
) -> None:
    """Replies that nobody has read must not answer what is asked later."""
    send = make(redis_client)
    send(_FILL)
    with pytest.raises(redis.ResponseError):
        send([("GET", "a"), ("INCR", "h"), ("GET", "a")])
    assert send([("HGET", "h", "grün")]) == ["2.5"]


def test_a_connection_that_was_lost_meanwhile_is_made_anew(real_redis: Any) -> None:
    """Redis was restarted since its last use."""
    own = OwnConnection(real_redis)
    (number, *_) = own([("CLIENT", "ID"), *_FILL])
    real_redis.client_kill_filter(_id=number)
    assert own([("GET", "a")]) == ["1"]


def test_a_redis_that_is_away_is_said() -> None:
    """And asked again at the next use."""
    away = redis.Redis(port=1, decode_responses=True)
    own = OwnConnection(away)
    for _ in range(2):
        with pytest.raises(redis.ConnectionError):
            own([("GET", "a")])
