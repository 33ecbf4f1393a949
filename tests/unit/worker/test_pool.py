"""The pool: more children than slots, and nobody is told."""

from typing import Any

import pytest
from celery.concurrency import prefork
from kombu.asynchronous.semaphore import LaxBoundedSemaphore

from tasks import app, transport
from worker import pool as pool_module
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


class Hub:
    """Celery's event loop, of which only the writing is asked."""

    def __init__(self) -> None:
        self.written: list[list[int]] = []

    def consolidate_callback(self, pipes: list[int]) -> None:
        self.written.append(sorted(pipes))


@pytest.mark.parametrize(
    ("busy", "waits", "written"), [({3}, True, [[4, 5]]), ({3, 4, 5}, True, []), (set(), False, [])]
)
def test_what_came_is_written_to_idle_children_at_once(
    busy: set[int], waits: bool, written: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """To none that has a job; with nothing to hand out the loop is left alone."""
    monkeypatch.setattr(prefork.TaskPool, "Pool", Children)
    monkeypatch.setattr(transport, "hand_on", None)
    pool = TaskPool(1, app=app, threads=False, forking_enable=True, semaphore=LaxBoundedSemaphore(1))
    pool.start()
    children = {"_all_inqueues": {3, 4, 5}, "_busy_workers": busy, "outbound_buffer": [object()] * waits}
    pool._pool.__dict__.update(children, register_with_event_loop=lambda loop: None)
    hub = Hub()
    pool.register_with_event_loop(hub)
    gave_way: list[int] = []
    monkeypatch.setattr(pool_module, "give_way", lambda: gave_way.append(len(hub.written)))
    transport.hand_on()
    assert hub.written == written
    assert gave_way == [1] * len(written)  # to the child that was just woken


def test_celery_finds_it() -> None:
    """By the setting, with the option that names prefork."""
    assert app.conf.worker_pool == "worker.pool:TaskPool"
