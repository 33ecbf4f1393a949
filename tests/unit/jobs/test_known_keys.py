"""Keys that were used a moment ago: not asked for again, and never let in longer than they may be."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from jobs import known_keys
from jobs.database import Database
from jobs.key_limits import KeyLimits
from jobs.keys import KeyService
from jobs.known_keys import KnownKeys
from jobs.models import ApiKey
from tests.support.jobs import NOW, SECOND


class CountingKeys(KeyService):
    """Tells how often the database was asked."""

    asked = 0

    def look_up(self, digest: str) -> Any:
        self.asked += 1
        return super().look_up(digest)


@pytest.fixture
def keys(sqlite_database: Database) -> CountingKeys:
    return CountingKeys(sqlite_database)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that `KnownKeys` goes by."""
    seconds = [0.0]
    monkeypatch.setattr(known_keys, "time", type("Clock", (), {"monotonic": lambda: seconds[0]}))
    return seconds


def _revoke_elsewhere(keys: KeyService, name: str) -> None:
    """As another process does it."""
    with keys.database.writing() as session:
        session.execute(update(ApiKey).where(ApiKey.name == name).values(revoked_at=NOW))


def test_a_key_is_asked_for_once_a_second(keys: CountingKeys, clock: list[float]) -> None:
    """However many requests it opens."""
    known, secret = KnownKeys(keys), keys.create("ann")
    for clock[0] in (0.0, 0.5, 0.999):
        caller = known.verify(secret)
        assert caller is not None and caller.name == "ann"
    assert keys.asked == 1
    clock[0] = 1.0
    assert known.verify(secret) is not None
    assert keys.asked == 2


def test_a_change_here_holds_at_once(keys: CountingKeys, clock: list[float]) -> None:
    """Revoked, limited, or with another secret."""
    known, secret, other = KnownKeys(keys), keys.create("ann"), keys.create("bob")
    ann = known.verify(secret)
    assert ann is not None and known.verify(other) is not None
    keys.change_limits(ann.key_id, KeyLimits(priority_ceiling=7))
    limited = known.verify(secret)
    assert limited is not None and limited.limits.priority_ceiling == 7
    renewed = keys.rotate(ann.key_id, overlap=timedelta()).secret
    assert known.verify(secret) is None
    assert known.verify(renewed) is not None
    keys.revoke("bob")
    assert known.verify(other) is None
    keys.revoke_one(ann.key_id)
    assert known.verify(renewed) is None


def test_a_change_elsewhere_holds_within_the_second(keys: CountingKeys, clock: list[float]) -> None:
    """Counted from when the key was asked for, not from its last use."""
    known, secret = KnownKeys(keys), keys.create("ann")
    assert known.verify(secret) is not None
    _revoke_elsewhere(keys, "ann")
    clock[0] = 0.9
    assert known.verify(secret) is not None
    clock[0] = 1.0
    assert known.verify(secret) is None


def test_a_known_key_expires(keys: CountingKeys, clock: list[float]) -> None:
    """And so does the secret before a rotation, to the moment."""
    known = KnownKeys(keys)
    issued = keys.issue("ann", limits=KeyLimits(expires_at=NOW + SECOND))
    assert known.verify(issued.secret, now=NOW) is not None
    assert known.verify(issued.secret, now=NOW + SECOND) is None
    before = keys.issue("bob")
    keys.rotate(before.key.id, overlap=2 * SECOND, now=NOW)
    assert known.verify(before.secret, now=NOW + SECOND) is not None
    assert known.verify(before.secret, now=NOW + 2 * SECOND) is None


def test_an_unknown_key_is_not_remembered(keys: CountingKeys, clock: list[float]) -> None:
    """It may be issued a moment later, and guesses fill no memory."""
    known = KnownKeys(keys)
    assert known.verify("pdk_guess") is None
    assert known.verify("pdk_guess") is None
    assert keys.asked == 2


def test_what_was_read_before_a_change_is_not_remembered(sqlite_database: Database) -> None:
    """A key is revoked between the answer of the database and the memory."""

    class LateKeys(CountingKeys):
        def look_up(self, digest: str) -> Any:
            found = super().look_up(digest)
            if self.asked == 1:
                self.revoke("ann")
            return found

    keys = LateKeys(sqlite_database)
    known, secret = KnownKeys(keys), keys.create("ann")
    assert known.verify(secret) is not None  # it came first
    assert known.verify(secret) is None


def test_the_memory_has_an_end(keys: CountingKeys, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then it starts anew."""
    monkeypatch.setattr(known_keys, "_MOST", 2)
    known, secrets = KnownKeys(keys), [keys.create(name) for name in "abc"]
    assert all(known.verify(secret) for secret in secrets)
    assert all(known.verify(secret) for secret in (secrets[2], secrets[0]))
    assert keys.asked == 4
