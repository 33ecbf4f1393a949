"""
Celery's prefork pool with a few children more than the worker has slots.

The consumer takes no more messages than there are slots, but for the overlap (`jobs/scheduling/overlap.py`):
its jobs these children have wait inside Ollama. Whatever the pool tells of itself is the slots.
"""

from typing import Any

from celery.concurrency import prefork

from jobs.processor import give_way
from jobs.scheduling import most_overlap
from tasks import transport


class TaskPool(prefork.TaskPool):
    """`celeryconfig` names it; `limit` is the slots."""

    limit: int

    def on_start(self) -> None:
        slots = self.limit
        self._more = most_overlap(slots)
        self.options["semaphore"].grow(self._more)  # Celery hands out no more messages than this counts
        self.limit = slots + self._more
        try:
            super().on_start()
        finally:
            self.limit = slots

    def register_with_event_loop(self, loop: Any) -> None:
        """Called by Celery, anew after each loss of the broker."""
        super().register_with_event_loop(loop)
        self._hub = loop
        transport.hand_on = self._hand_on

    def _hand_on(self) -> None:
        """
        Write what is to be handed out to idle children now.

        Celery leaves that to the loop's next turn, which begins by asking Redis for the next message. The
        pipe of a child that has nothing to do is empty; should it be full all the same, the loop goes on
        with it.
        """
        pool: Any = self._pool
        idle = pool._all_inqueues - pool._busy_workers
        if idle and pool.outbound_buffer:
            self._hub.consolidate_callback(list(idle))
            give_way()

    @property
    def num_processes(self) -> int:
        """Celery makes of this how many messages the consumer may take."""
        return int(super().num_processes) - self._more
