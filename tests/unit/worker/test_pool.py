"""The pool: more children than slots, and nobody is told."""

from typing import Any

import pytest
from celery.concurrency import prefork
from kombu.asynchronous.semaphore import LaxBoundedSemaphore

from tasks import app
from worker.pool import TaskPool


class Children:
    """billiard's pool, without processes."""

    def __init__(self, processes: int, **_: Any) -> None:
        self._processes = processes
        self._pool: list[Any] = []
        self._maxtasksperchild = self.soft_timeout = self.timeout = None
        for name in ("apply_async", "maintain_pool", "terminate_job", "grow", "shrink", "flush"):
            setattr(self, name, None)


@pytest.mark.parametrize(("slots", "children"), [(1, 2), (4, 7), (16, 20)])
def test_it_has_children_beyond_the_slots(slots: int, children: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Celery hands out as many messages; what it takes, and what Flower shows, goes by the slots."""
    monkeypatch.setattr(prefork.TaskPool, "Pool", Children)
    semaphore = LaxBoundedSemaphore(slots)
    pool = TaskPool(slots, app=app, threads=False, forking_enable=True, semaphore=semaphore, putlocks=False)
    pool.start()
    assert pool._pool._processes == children
    assert (semaphore.value, semaphore.initial_value) == (children, children)
    assert (pool.num_processes, pool.info["max-concurrency"]) == (slots, slots)


def test_celery_finds_it() -> None:
    """By the setting, with the option that names prefork."""
    assert app.conf.worker_pool == "worker.pool:TaskPool"
