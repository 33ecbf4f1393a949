"""API keys on both databases: secrets, rotation, limits."""

from datetime import timedelta

import pytest

from jobs.active_model import choose_active, read_active
from jobs.database import Database
from jobs.errors import InvalidRequest, KeyNotFound
from jobs.key_limits import NO_LIMITS, KeyLimits
from jobs.keys import KeyService
from tests.support.jobs import NOW

DAY = timedelta(days=1)


@pytest.fixture
def keys(database: Database) -> KeyService:
    return KeyService(database)


def test_limits_are_kept_as_they_were_given(keys: KeyService) -> None:
    """Every limit comes back from the database as it was stored."""
    limits = KeyLimits(
        default_priority=7,
        priority_ceiling=2,
        allowed_models=["alpha", "beta"],
        on_disconnect="continue",
        requests_per_minute=60,
        max_pending=5,
        expires_at=NOW + DAY,
    )
    caller = keys.verify(keys.issue("x", limits=limits, now=NOW).secret, now=NOW)
    assert caller is not None
    assert caller.limits == limits


def test_a_key_without_limits(keys: KeyService) -> None:
    """Nothing given is nothing limited."""
    caller = keys.verify(keys.create("x"))
    assert caller is not None
    assert caller.limits == NO_LIMITS


def test_a_lifted_limit(keys: KeyService) -> None:
    """A limit set to None is gone, the one that is not named stays."""
    issued = keys.issue("x", limits=KeyLimits(max_pending=1, allowed_models=["a"]))
    changed = keys.change_limits(issued.key.id, KeyLimits(allowed_models=None))
    assert (changed.allowed_models, changed.max_pending) == (None, 1)
    caller = keys.verify(issued.secret)
    assert caller is not None
    assert caller.limits == KeyLimits(max_pending=1)


def test_an_overlap_ends(keys: KeyService) -> None:
    """The old secret opens until the overlap is over, the new one goes on."""
    issued = keys.issue("x", now=NOW)
    new = keys.rotate(issued.key.id, overlap=DAY, now=NOW).secret
    just_before = NOW + DAY - timedelta(microseconds=1)
    assert keys.verify(issued.secret, now=just_before) is not None
    assert keys.verify(issued.secret, now=NOW + DAY) is None
    assert keys.verify(new, now=NOW + DAY) is not None


def test_a_key_expires(keys: KeyService) -> None:
    """At its expiry a key is invalid."""
    secret = keys.issue("x", limits=KeyLimits(expires_at=NOW)).secret
    assert keys.verify(secret, now=NOW - timedelta(microseconds=1)) is not None
    assert keys.verify(secret, now=NOW) is None


def test_a_name_stands_for_one_valid_key(keys: KeyService) -> None:
    """An ambiguous name is refused, a revoked key is not found."""
    first = keys.issue("twin").key.id
    keys.issue("twin")
    with pytest.raises(InvalidRequest):
        keys.find_valid("twin")
    assert keys.find_valid(first) == first
    keys.revoke_one(first)
    assert keys.find_valid("twin") != first
    with pytest.raises(KeyNotFound):
        keys.find_valid(first)


def test_the_active_model_is_one(database: Database) -> None:
    """The last choice counts; None is no choice."""
    for model in ("alpha", "beta", None, None, "gamma"):
        choose_active(database, model)
        with database.reading() as session:
            assert read_active(session) == model
