"""What tests of tasks and workers share: this process's resources, and a Celery app with a real broker."""

from collections.abc import Iterator
from typing import Any

import fakeredis
import pytest
from celery import Celery

from jobs.breaker import Breaker
from jobs.database import Database
from jobs.events import EventWriter
from tasks import publishing
from tasks import resources as resources_module
from tasks.resources import Resources, get_resources, use_database
from tests.support.valkey import Valkey


@pytest.fixture
def resources(database: Database, monkeypatch: pytest.MonkeyPatch) -> Resources:
    """This process's resources: on the test's database and a Redis that is a fake."""
    monkeypatch.setattr(resources_module, "_by_process", {})
    use_database(database)
    found = get_resources()
    client = fakeredis.FakeRedis(decode_responses=True)
    found.__dict__.update(redis=client, events=EventWriter(client))
    return found


@pytest.fixture(autouse=True)
def breaker(monkeypatch: pytest.MonkeyPatch) -> Breaker:
    """A breaker that knows nothing of other tests."""
    fresh = Breaker()
    monkeypatch.setattr(publishing, "breaker", fresh)
    return fresh


@pytest.fixture
def broker_app(valkey: Valkey, real_redis: Any) -> Iterator[Celery]:
    """A Celery app like ours, on an empty Valkey."""
    app = Celery("tests", set_as_current=False)
    app.config_from_object("celeryconfig")
    app.conf.broker_url = valkey.url.replace("unix://", "redis+socket://")
    yield app
    app.close()
