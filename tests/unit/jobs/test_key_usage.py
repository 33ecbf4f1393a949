"""When a key was last used: to the minute, at the cost of one write a minute."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from jobs import key_usage
from jobs.database import Database
from jobs.key_limits import KeyLimits
from jobs.key_usage import KeyUsage
from jobs.keys import Caller, KeyService
from tests.support.jobs import NOW, SECOND

MINUTE = timedelta(minutes=1)


@pytest.fixture
def keys(database: Database) -> KeyService:
    return KeyService(database)


def _caller(keys: KeyService, name: str = "ann") -> Caller:
    caller = keys.verify(keys.create(name))
    assert caller is not None
    return caller


def test_a_use_is_noted(keys: KeyService) -> None:
    """In the key's row."""
    assert KeyUsage(keys.database).note(_caller(keys), now=NOW)
    assert keys.all()[0].last_used_at == NOW


def test_a_minutes_uses_are_one_write(keys: KeyService) -> None:
    """Whether this process knows of the last one, or the row says so."""
    caller, usage = _caller(keys), KeyUsage(keys.database)
    moments = (NOW, NOW + SECOND, NOW + MINUTE - SECOND, NOW + MINUTE)
    assert [usage.note(caller, now=moment) for moment in moments] == [True, False, False, True]
    fresh = Caller(caller.key_id, "ann", "user", last_used_at=NOW + MINUTE)
    assert not KeyUsage(keys.database).note(fresh, now=NOW + MINUTE + SECOND)


def test_another_processs_note_is_not_undone(keys: KeyService) -> None:
    """One that sees an old row writes, but only over what is older than a minute."""
    caller = _caller(keys)
    KeyUsage(keys.database).note(caller, now=NOW)
    KeyUsage(keys.database).note(caller, now=NOW + SECOND)
    assert keys.all()[0].last_used_at == NOW


def test_keys_are_noted_each_for_itself(keys: KeyService) -> None:
    """One's use is not another's, and the memory of them does not grow for ever."""
    usage = KeyUsage(keys.database)
    assert usage.note(_caller(keys, "ann"), now=NOW)
    assert usage.note(_caller(keys, "bob"), now=NOW)


def test_the_memory_has_an_end(keys: KeyService, monkeypatch: pytest.MonkeyPatch) -> None:
    """When it is full it starts anew; at worst that is a write more."""
    monkeypatch.setattr(key_usage, "_REMEMBERED", 1)
    usage = KeyUsage(keys.database)
    for name in ("ann", "bob", "cid"):
        usage.note(_caller(keys, name), now=NOW)
    assert len(usage._tried_at) == 1


def test_a_use_that_can_not_be_noted_is_no_error(
    keys: KeyService, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The request matters more."""
    caller = _caller(keys)

    def away(**_: Any) -> Any:
        raise OperationalError("UPDATE", {}, Exception("away"))

    monkeypatch.setattr(keys.database, "writing", away)
    KeyUsage(keys.database).note(caller)
    assert "is not noted" in caplog.text


@pytest.mark.parametrize(
    ("limits", "asked", "priority"),
    [
        ({}, None, 5),
        ({}, 0, 0),
        ({"default_priority": 0}, None, 0),
        ({"default_priority": 7}, 2, 2),
        ({"priority_ceiling": 3}, 0, 3),
        ({"priority_ceiling": 3}, 9, 9),
        ({"priority_ceiling": 7}, None, 7),
        ({"default_priority": 1, "priority_ceiling": 0}, None, 1),
    ],
)
def test_a_keys_priority(limits: dict[str, Any], asked: int | None, priority: int) -> None:
    """Its default where none is named, and never above its ceiling."""
    assert KeyLimits(**limits).priority_of(asked) == priority


@pytest.mark.parametrize(
    "limits",
    [
        {"expires_at": 5},
        {"expires_at": "2030-01-01T00:00:00"},
        {"expires_at": "9999-01-01T00:00:00Z"},
        {"allowed_models": []},
        {"allowed_models": ["no model"]},
        {"max_pending": 0},
        {"priority_ceiling": 10},
        {"nonsense": 1},
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(limits: dict[str, Any]) -> None:
    """Before it is stored."""
    with pytest.raises(ValueError, match=next(iter(limits))):
        KeyLimits(**limits)
