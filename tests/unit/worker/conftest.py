"""A child process of a worker, as far as running a job needs it: nothing forked, no thread started."""

from typing import Any

import pytest

from jobs.events import read_events
from jobs.records import Publication
from ollama_client.errors import OllamaUnavailable
from tasks import generate
from tasks.resources import Resources
from tasks.task_result import TaskResult
from tasks.transport import OVERLAPS
from tests.support.fake_ollama import FakeTransport
from tests.support.jobs import WORKER, row
from worker import child as child_module
from worker import execution
from worker.child import Child
from worker.context_sizes import ContextSizes
from worker.event_stream import EventStream
from worker.execution import run_job
from worker.lease import LeaseThread


class Worker:
    """Runs jobs in this process, on an Ollama that is a fake."""

    def __init__(self, resources: Resources, monkeypatch: pytest.MonkeyPatch) -> None:
        self.resources = resources
        self.service = resources.service
        self.published: list[tuple[Publication, bool]] = []
        self.lease = LeaseThread(resources.service, resources.redis)
        self._events = EventStream(resources.events, WORKER)
        self._monkeypatch = monkeypatch
        self.use(FakeTransport())

    def use(self, transport: Any) -> None:
        """From now on this is Ollama."""
        self.transport = transport
        sizes = ContextSizes(self.resources.redis, WORKER)
        child = Child(WORKER, self.resources, transport, self.lease, self._events, sizes)
        self._monkeypatch.setattr(child_module, "_children", [child])

    def publish(
        self, _client: Any, publications: list[Publication], *, serve_next: bool = False, **_: Any
    ) -> None:
        self.published += [(publication, serve_next) for publication in publications]

    def run(
        self, job_id: str, *, publication: int | None = None, overlaps: bool = False, **request: Any
    ) -> TaskResult:
        """Run what a message about this job names."""
        number = row(self.service, job_id).publication if publication is None else publication
        headers = {"publication": number, **({OVERLAPS: True} if overlaps else {})}
        generate.push_request(id=job_id, headers=headers, **request)
        try:
            return run_job(generate, (), {})
        finally:
            generate.pop_request()

    def events(self, job_id: str) -> list[tuple[str, Any]]:
        """What readers of the job are told."""
        self._events.flush()
        return [(event.type, event.data) for event in read_events(self.resources.redis, job_id)]


@pytest.fixture
def worker(resources: Resources, monkeypatch: pytest.MonkeyPatch) -> Worker:
    """One child."""
    made = Worker(resources, monkeypatch)
    monkeypatch.setattr(execution, "publish", made.publish)
    monkeypatch.setattr(execution, "listen_for_drain", lambda: None)  # pytest's own signals stay
    return made


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the worker would have slept; its clock goes on by it."""
    found: list[float] = []

    class Clock:
        monotonic = staticmethod(lambda: sum(found))
        sleep = staticmethod(found.append)

    monkeypatch.setattr(execution, "time", Clock)
    return found


@pytest.fixture
def ollama_is_away(worker: Worker) -> FakeTransport:
    """Ollama refuses every connection."""
    transport = FakeTransport(OllamaUnavailable(), answers={"/api/version": OllamaUnavailable()})
    worker.use(transport)
    return transport
