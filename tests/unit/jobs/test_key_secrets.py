"""Secrets of API keys: shown once, kept as a hash, rotated, revoked."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from jobs.database import Database
from jobs.errors import InvalidRequest, KeyNotFound
from jobs.instants import utc_now
from jobs.key_limits import NO_LIMITS, KeyLimits
from jobs.keys import KEY_PREFIX, LOCAL_KEY_ID, Caller, KeyService
from jobs.models import ApiKey
from tests.support.jobs import NOW, SECOND

HOUR = timedelta(hours=1)


@pytest.fixture
def keys(database: Database) -> KeyService:
    """A service on an empty database."""
    return KeyService(database)


def _everything(keys: KeyService) -> str:
    """All that the table holds, as one text."""
    with keys.database.reading() as session:
        return str(session.execute(text("SELECT * FROM api_keys")).all())


def test_a_key_opens_what_it_was_made_for(keys: KeyService) -> None:
    """Who calls with it is known by id, name and role."""
    secret = keys.create("ann", "admin")
    caller = keys.verify(secret)
    assert caller is not None
    assert (caller.name, caller.role, caller.is_admin, caller.limits) == ("ann", "admin", True, NO_LIMITS)
    assert caller.key_id == keys.all()[0].id


def test_keys_are_long_random_and_recognisable(keys: KeyService) -> None:
    """Scanners find a leaked one by its prefix, and nobody guesses one."""
    one, other = keys.create("a"), keys.create("a")
    assert one.startswith(KEY_PREFIX)
    assert len(one) >= len(KEY_PREFIX) + 43
    assert one != other


def test_only_a_hash_is_kept(keys: KeyService) -> None:
    """Who reads the database can't call with what is there."""
    secret = keys.create("ann")
    kept = _everything(keys)
    assert secret not in kept
    assert secret[len(KEY_PREFIX) + 8 :] not in kept
    assert keys.verify(str(keys.all()[0].key_hash)) is None


@pytest.mark.parametrize("secret", ["", "pdk_", "pdk_" + "x" * 43, "\ud800", "ä" * 10_000])
def test_a_wrong_key_opens_nothing(keys: KeyService, secret: str) -> None:
    """Whatever it is made of."""
    keys.create("ann")
    assert keys.verify(secret) is None


def test_the_local_key_is_opened_by_nothing(keys: KeyService) -> None:
    """The row that owns the jobs of Python code has no secret."""
    with keys.database.writing() as session:
        session.add(ApiKey(id=LOCAL_KEY_ID, name="local", role="user", prefix="", created_at=NOW))
    assert keys.verify("") is None
    assert keys.verify("None") is None


@pytest.mark.parametrize(
    ("name", "role"),
    [("", "user"), ("x" * 101, "user"), ("a\nb", "user"), ("ann", "root"), ("ann", "")],
)
def test_a_key_needs_a_name_and_a_role(keys: KeyService, name: str, role: str) -> None:
    """Nothing is made of what is wrong."""
    with pytest.raises(InvalidRequest):
        keys.create(name, role)
    assert keys.all() == []


def test_keys_are_listed_oldest_first(keys: KeyService) -> None:
    """Revoked ones too, and each with the start that tells it apart."""
    secret = keys.create("b", now=NOW + SECOND)
    keys.create("a", now=NOW)
    keys.revoke("a")
    listed = keys.all()
    assert [key.name for key in listed] == ["a", "b"]
    assert secret.startswith(listed[1].prefix)
    assert len(listed[1].prefix) < 16


def test_a_revoked_key_opens_nothing(keys: KeyService) -> None:
    """At once, and for good."""
    secret = keys.create("ann")
    other = keys.create("bob")
    assert keys.revoke("ann", now=NOW) == [keys.all()[0].id]
    assert keys.verify(secret) is None
    assert keys.verify(other) is not None
    with pytest.raises(KeyNotFound, match="ann"):
        keys.revoke("ann")


def test_a_name_revokes_all_its_keys_and_an_id_one(keys: KeyService) -> None:
    """Names need not be unique."""
    issued = [keys.issue("ann") for _ in range(3)]
    assert keys.revoke(issued[0].key.id) == [issued[0].key.id]
    assert set(keys.revoke("ann")) == {issued[1].key.id, issued[2].key.id}


def test_one_key_is_revoked_by_its_id(keys: KeyService) -> None:
    """A name is no id."""
    key_id = keys.issue("ann").key.id
    with pytest.raises(KeyNotFound):
        keys.revoke_one("ann")
    assert keys.revoke_one(key_id, now=NOW).revoked_at == NOW
    with pytest.raises(KeyNotFound):
        keys.revoke_one(key_id)


def test_the_local_key_is_not_revoked(keys: KeyService) -> None:
    """Python code would lose its owner."""
    with keys.database.writing() as session:
        session.add(ApiKey(id=LOCAL_KEY_ID, name="local", role="user", prefix="", created_at=NOW))
    with pytest.raises(KeyNotFound):
        keys.revoke(LOCAL_KEY_ID)


def test_a_rotated_key_has_two_secrets_for_a_while(keys: KeyService) -> None:
    """The one before stays valid for the overlap, an older one never."""
    first = keys.issue("ann")
    second = keys.rotate(first.key.id, overlap=HOUR, now=NOW)
    assert second.secret != first.secret
    assert keys.verify(second.secret, now=NOW + 2 * HOUR) is not None
    assert keys.verify(first.secret, now=NOW + HOUR - SECOND) is not None
    assert keys.verify(first.secret, now=NOW + HOUR) is None
    third = keys.rotate(first.key.id, overlap=HOUR, now=NOW)
    assert keys.verify(first.secret, now=NOW) is None
    assert keys.verify(second.secret, now=NOW) is not None
    assert keys.verify(third.secret, now=NOW) is not None


def test_a_leaked_key_is_rotated_without_overlap(keys: KeyService) -> None:
    """Then the secret before is void at once."""
    first = keys.issue("ann")
    keys.rotate(first.key.id, overlap=timedelta(), now=NOW)
    assert keys.verify(first.secret, now=NOW) is None


def test_a_revoked_key_is_not_rotated(keys: KeyService) -> None:
    """It would come back to life."""
    key_id = keys.issue("ann").key.id
    keys.revoke_one(key_id)
    with pytest.raises(KeyNotFound):
        keys.rotate(key_id)


def test_changing_nothing_shows_the_key(keys: KeyService) -> None:
    """An empty change is none."""
    key_id = keys.issue("ann").key.id
    assert keys.change_limits(key_id, KeyLimits()).id == key_id


def test_a_caller_sees_its_own(keys: KeyService) -> None:
    """An admin sees all."""
    user = Caller("k1", "ann", "user")
    assert user.may_see("k1")
    assert not user.may_see("k2")
    assert Caller("k3", "root", "admin").may_see("k2")


def test_a_new_key_is_of_now(keys: KeyService) -> None:
    """Its creation is told by the clock where no time is handed in."""
    keys.create("ann")
    assert abs(keys.all()[0].created_at - utc_now()) < timedelta(seconds=60)
