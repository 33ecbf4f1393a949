"""
Celery's prefork pool with a few children more than the worker has slots.

The consumer takes no more messages than there are slots, but for the overlap (`jobs/scheduling/overlap.py`):
its jobs these children have wait inside Ollama. Whatever the pool tells of itself is the slots.
"""

from celery.concurrency import prefork

from jobs.scheduling import most_overlap


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

    @property
    def num_processes(self) -> int:
        """Celery makes of this how many messages the consumer may take."""
        return int(super().num_processes) - self._more
