"""When a worker's events for Flower are sent."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from worker.task_events import MAX_WAITING, SEND_SECONDS, TaskEventsStep


class Dispatcher:
    """Celery's, as far as the step looks at it: events wait until they are flushed."""

    def __init__(self) -> None:
        self.buffer_limit = 24
        self.on_send_buffered: Callable[[], None] | None = lambda: None
        self.waiting = ["task-received"]

    def flush(self) -> None:
        self.waiting.clear()


class Timer:
    """What is to be called again and again, and whether it still is."""

    def __init__(self) -> None:
        self.called: list[tuple[float, Callable[[], None]]] = []
        self.cancelled = 0

    def call_repeatedly(self, seconds: float, call: Callable[[], None]) -> Any:
        self.called.append((seconds, call))
        return self

    def cancel(self) -> None:
        self.cancelled += 1


@pytest.fixture
def parent() -> Any:
    """A worker's consumer."""
    return SimpleNamespace(event_dispatcher=Dispatcher(), timer=Timer())


def test_events_wait_for_the_timer(parent: Any) -> None:
    """Not for the loop's next turn, which is before a job begins."""
    TaskEventsStep(parent).start(parent)
    dispatcher = parent.event_dispatcher
    assert (dispatcher.on_send_buffered, dispatcher.buffer_limit) == (None, MAX_WAITING)
    ((seconds, send),) = parent.timer.called
    assert (seconds, dispatcher.waiting) == (SEND_SECONDS, ["task-received"])
    send()
    assert dispatcher.waiting == []


def test_a_worker_that_stops_sends_what_waits(parent: Any) -> None:
    """And nothing after it; a second stop has nothing left to end."""
    step = TaskEventsStep(parent)
    step.start(parent)
    step.stop(parent)
    step.shutdown(parent)
    assert (parent.event_dispatcher.waiting, parent.timer.cancelled) == ([], 1)


def test_a_worker_without_events_stops_all_the_same(parent: Any) -> None:
    """Celery has put its dispatcher away, or never made one."""
    step = TaskEventsStep(parent)
    step.start(parent)
    parent.event_dispatcher = None
    step.terminate(parent)
    assert parent.timer.cancelled == 1
