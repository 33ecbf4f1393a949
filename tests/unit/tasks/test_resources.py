"""What a process works with: its own, never another process's."""

import os
from pathlib import Path

import pytest
from sqlalchemy.pool import NullPool

from settings import get_settings
from tasks import resources as module
from tasks.resources import get_resources, policy_of, pool_connections


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing has been made yet, and the database is this test's."""
    settings = get_settings().model_copy(update={"database_url": f"sqlite:///{tmp_path / 'a.db'}"})
    monkeypatch.setattr(module, "get_settings", lambda: settings)
    monkeypatch.setattr(module, "_by_process", {})
    monkeypatch.setattr(module, "_pooled", True)


def test_a_process_has_one_of_each() -> None:
    """However often it asks."""
    one = get_resources()
    assert get_resources() is one
    assert one.service is one.service
    assert one.redis is one.redis
    assert one.catalog is one.catalog
    assert one.events is one.events


def test_a_forked_process_makes_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections don't survive a fork, so the parent's are not touched."""
    parent = get_resources()
    monkeypatch.setattr(os, "getpid", lambda: -1)
    child = get_resources()
    assert child is not parent
    assert child.database.engine is not parent.database.engine


@pytest.mark.parametrize("pooled", [True, False])
def test_the_parent_of_a_worker_keeps_no_connection(pooled: bool) -> None:
    """Its children would inherit it."""
    pool_connections(pooled)
    assert isinstance(get_resources().database.engine.pool, NullPool) is not pooled


def test_the_settings_are_the_cores_policy() -> None:
    """Under its names."""
    policy = policy_of(get_settings())
    assert (policy.lease_seconds, policy.max_attempts, policy.ageing_seconds) == (5.0, 3, 30.0)
    assert policy.backoff_seconds == (2.0, 4.0, 8.0)
