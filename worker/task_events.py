"""
Task events for Flower, sent a few times a second instead of after every job.

Celery publishes a task's events as soon as its loop turns, which is before it hands
the task to a child: the first token waited for them.
"""

from typing import Any

from celery import bootsteps

SEND_SECONDS = 0.2
# More than a worker produces within SEND_SECONDS; Celery sends at once when so many wait.
MAX_WAITING = 2000


class TaskEventsStep(bootsteps.StartStopStep):
    """Replaces "soon" by a timer, at every start: a new connection brings a new dispatcher."""

    requires = {"celery.worker.consumer.events:Events"}

    def __init__(self, parent: Any, **kwargs: Any) -> None:
        super().__init__(parent, **kwargs)
        self._timer: Any = None

    def start(self, parent: Any) -> None:
        dispatcher = parent.event_dispatcher
        dispatcher.buffer_limit = MAX_WAITING
        dispatcher.on_send_buffered = None
        self._timer = parent.timer.call_repeatedly(SEND_SECONDS, dispatcher.flush)

    def stop(self, parent: Any) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if parent.event_dispatcher is not None:
            parent.event_dispatcher.flush()

    terminate = shutdown = stop
