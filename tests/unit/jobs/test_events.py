"""Events of a job over Redis: what is kept for who comes late, and what is said live."""

import json
from typing import Any

import pytest
import redis

from jobs.events import (
    CANCELLED_CHANNEL,
    EXPIRE_SECONDS,
    LIVE_PREFIX,
    STREAM_PREFIX,
    Event,
    EventWriter,
    entry_order,
    read_events,
)


def _next_message(pubsub: Any) -> Any:
    """The next real message; a subscription's own confirmation comes first."""
    return pubsub.get_message(timeout=5) or pubsub.get_message(timeout=5)


def test_events_are_read_in_their_order(redis_client: Any) -> None:
    """A reader that comes late finds every event with its data."""
    writer = EventWriter(redis_client)
    writer.add("j1", "status", {"status": "processing"})
    writer.add_all([("j1", "token", {"text": "Grün 🌱"}), ("j2", "token", {}), ("j1", "done", {})])
    found = list(read_events(redis_client, "j1"))
    assert [(event.type, event.data) for event in found] == [
        ("status", {"status": "processing"}),
        ("token", {"text": "Grün 🌱"}),
        ("done", {}),
    ]
    assert found == sorted(found, key=lambda event: entry_order(event.id))


def test_a_reader_resumes_after_what_it_has_seen(redis_client: Any) -> None:
    """Only what came after the given entry is read."""
    writer = EventWriter(redis_client)
    writer.add_all([("j1", "token", {"text": "a"}), ("j1", "token", {"text": "b"})])
    first = next(read_events(redis_client, "j1")).id
    assert [event.data for event in read_events(redis_client, "j1", after=first)] == [{"text": "b"}]


def test_jobs_have_streams_of_their_own(redis_client: Any) -> None:
    """One job's reader sees nothing of another's."""
    EventWriter(redis_client).add("j1", "token", {"text": "secret"})
    assert list(read_events(redis_client, "j2")) == []


def test_a_stream_expires(redis_client: Any) -> None:
    """Events don't stay in Redis for ever, and each one gives the rest more time."""
    EventWriter(redis_client).add("j1", "token", {"text": "a"})
    assert 0 < redis_client.ttl(STREAM_PREFIX + "j1") <= EXPIRE_SECONDS


def test_the_live_channel_says_the_same(redis_client: Any) -> None:
    """Who listens gets the entry as it is kept, ids included; blanks in the data are data."""
    with redis_client.pubsub(ignore_subscribe_messages=True) as pubsub:
        pubsub.subscribe(LIVE_PREFIX + "j1")
        EventWriter(redis_client).add("j1", "token", {"text": "one two  three"})
        message = _next_message(pubsub)
    entry_id, event, data = message["data"].split(" ", 2)
    assert [Event(entry_id, event, json.loads(data))] == list(read_events(redis_client, "j1"))


def test_a_cancelled_job_is_announced(redis_client: Any) -> None:
    """Whoever runs jobs hears the id of the one that must stop."""
    with redis_client.pubsub(ignore_subscribe_messages=True) as pubsub:
        pubsub.subscribe(CANCELLED_CHANNEL)
        EventWriter(redis_client).cancelled("j1")
        assert _next_message(pubsub)["data"] == "j1"


def test_writing_without_redis_says_so() -> None:
    """The caller learns that Redis is away."""
    writer = EventWriter(redis.Redis.from_url("unix:///tmp/no-such-valkey.sock"))
    with pytest.raises(redis.RedisError):
        writer.add("j1", "token", {})


def test_entries_are_ordered_by_their_numbers() -> None:
    """As texts "9-2" would come after "10-1"."""
    assert sorted(["10-1", "9-2", "9-10", "11"], key=entry_order) == ["9-2", "9-10", "10-1", "11"]


@pytest.mark.parametrize("entry_id", ["", "x", "1-x", "1-2-3"])
def test_what_is_no_entry_id_has_no_order(entry_id: str) -> None:
    """A Last-Event-ID that is none of ours is told apart."""
    with pytest.raises(ValueError, match="invalid literal"):
        entry_order(entry_id)


def test_a_great_many_events_are_told_in_their_order(redis_client: Any) -> None:
    """More than one call of Redis' own takes."""
    EventWriter(redis_client).add_all(("j1", "token", {"n": number}) for number in range(1200))
    assert [event.data["n"] for event in read_events(redis_client, "j1")] == list(range(1200))
