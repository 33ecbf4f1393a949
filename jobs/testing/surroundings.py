"""Doubles of what Redis is used for besides the line: events, and the reports of workers."""

import json
from collections.abc import Iterable
from typing import Any

from jobs.catalog import ModelCatalog
from jobs.database import Database
from jobs.events import Event, EventWriter, entry_order
from jobs.instants import utc_now
from jobs.model_names import normalise_model
from jobs.round_trips import Command
from jobs.workers import InstalledModel, WorkerReport

WORKER = "worker@memory"


class MemoryEvents(EventWriter):
    """Keeps events instead of sending them."""

    def __init__(self) -> None:
        self._events: list[tuple[str, Event]] = []
        self.stopped: list[str] = []  # the jobs whose runs were told to stop

    def add_all(
        self,
        events: Iterable[tuple[str, str, dict[str, Any]]],
        also: Iterable[Command] = (),
    ) -> None:
        for job_id, event, data in events:
            entry_id = f"0-{len(self._events) + 1}"
            self._events.append((job_id, Event(entry_id, event, json.loads(json.dumps(data)))))

    def with_readers(self, job_ids: list[str]) -> list[str]:
        return []

    def cancelled(self, job_id: str) -> None:
        self.stopped.append(job_id)

    def read(self, job_id: str, *, after: str = "0-0") -> list[Event]:
        """A job's events after the one with this id, oldest first."""
        return [
            event
            for of_job, event in self._events
            if of_job == job_id and entry_order(event.id) > entry_order(after)
        ]


class MemoryCatalog(ModelCatalog):
    """The models of one worker that is always there; before any is installed every model will do."""

    def __init__(self, database: Database, default_model: str) -> None:
        super().__init__(database, None, normalise_model(default_model))
        self._reports: list[WorkerReport] = []

    def install(self, names: Iterable[str]) -> None:
        """From now on these models exist and no others; the first by name is the default."""
        models = [InstalledModel(normalise_model(name)) for name in names]
        now = utc_now().timestamp()
        self._reports = [WorkerReport(WORKER, "memory", "memory://", True, 1, now, models=models)]
        self._default = None

    def workers(self) -> list[WorkerReport]:
        return self._reports
