"""
`.delay()`, `.get()`, `.revoke()` and canvas on the queue in memory, and its pytest fixture.

    pytest_plugins = ["tasks.testing"]      # in the conftest.py at the root

    def test_a_summary(paddock_queue): ...

No Redis, Ollama, worker, database server or file is needed or touched. Celery's own
tracer runs each job, so links, chains, chords and errbacks go on as in a worker.
"""

import json
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import Any
from unittest.mock import patch

import pytest
import redis
from celery import states
from celery.app.task import Context
from celery.app.trace import build_tracer
from celery.backends.database.session import ResultModelBase
from celery.exceptions import Ignore, NotRegistered, TimeoutError
from celery.result import AsyncResult
from celery.utils.functional import maybe_list
from kombu.utils.json import dumps, loads

from jobs.breaker import Breaker
from jobs.errors import JobFailed
from jobs.housekeeping import untold_successors
from jobs.records import Failure, Publication
from jobs.round_trips import Command, RoundTrip
from jobs.states import Status
from jobs.testing import MemoryLine, MemoryQueue
from settings import get_settings
from tasks import canvas, publishing
from tasks.backend import JobBackend
from tasks.cancelling import cancel_quietly
from tasks.celery_app import app
from tasks.generation import figures_of
from tasks.job_task import JobTask
from tasks.queue_lists import QUEUE_PREFIX
from tasks.resources import Resources, use_resources
from tasks.task_result import TaskResult, make_result

# Options of a call, and the names under which a running task's request has them.
_REQUEST_NAMES = {
    "link": "callbacks",
    "link_error": "errbacks",
    "chain": "chain",
    "chord": "chord",
    "group_id": "group",
    "group_index": "group_index",
    "root_id": "root_id",
    "parent_id": "parent_id",
}


class TaskQueue(MemoryQueue):
    """The queue in memory behind the tasks of this process."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._calls: deque[tuple[str, str, Any, Any, dict[str, Any]]] = deque()  # of tasks that are no jobs
        with self.database.transaction() as connection:
            ResultModelBase.metadata.create_all(connection)

    def deliver(self, publication: Publication) -> None:
        headers = {"publication": publication.publication}
        _trace(publication.task, publication.job_id, (), {}, {"headers": headers})

    def keep(self) -> None:
        super().keep()
        while self._calls:
            _trace(*self._calls.popleft())
        for job in untold_successors(self.service, seconds_ago=0.0):
            # A run tells its own; left are jobs that ended without one, cancelled or expired.
            if job.status in (Status.CANCELLED, Status.EXPIRED):
                request = Context(id=job.job_id, task=job.task, delivery_info={})
                canvas.restore(request, job.canvas)
                error = app.backend.get_task_meta(job.job_id, cache=False)["result"]
                app.backend.mark_as_failure(job.job_id, error, request=request)

    def run_task(self, task: JobTask, args: tuple[Any, ...], kwargs: dict[str, Any]) -> TaskResult:
        """`JobTask.runner`: the same steps as a worker's."""
        claimed = self.claim(task.request.id, task.request.headers["publication"])
        if claimed is None:
            raise Ignore
        canvas.restore(task.request, claimed.canvas)
        ended = self.answer(claimed)
        if ended is None:
            raise Ignore
        if isinstance(ended, Failure):
            raise JobFailed(f"{ended.code}: {ended.message}")
        return make_result(
            job_id=claimed.job_id,
            kind=claimed.kind,
            model=claimed.model,
            data=ended.result_data,
            figures=figures_of(ended),
        )

    def send_task(
        self, name: str, args: Any = None, kwargs: Any = None, *, task_id: str | None = None, **options: Any
    ) -> AsyncResult:
        """`app.send_task`: of a job's task a job; any other runs when this one has ended."""
        task = app.tasks.get(name)
        if task is None:
            raise NotRegistered(name)
        task_id = task_id or str(uuid.uuid4())
        if isinstance(task, JobTask):
            options["priority"] = options.get("priority") or None  # a message's 0 counts as not given
            task.apply_async(args, kwargs, task_id=task_id, **options)
        else:
            request = {of: options.get(option) for option, of in _REQUEST_NAMES.items()}
            request["headers"] = options.get("headers") or {}
            # As a worker gets them: what JSON can't carry fails here too.
            args, kwargs = loads(dumps([args or (), kwargs or {}]))
            self._calls.append((name, task_id, args, kwargs, request))
        return app.AsyncResult(task_id)

    def revoke(self, task_id: Any, *_: Any, terminate: bool = False, **__: Any) -> None:
        """`app.control.revoke`, as workers do it."""
        for each in maybe_list(task_id) or []:
            cancel_quietly(str(each), only_pending=not terminate)
        self.keep()

    def wait_for(
        self, backend: JobBackend, task_id: str, timeout: float | None = None, *_: Any, **__: Any
    ) -> dict[str, Any]:
        """
        `JobBackend.wait_for`: run jobs, each in its turn, until this task has ended.

        Raises:
            TimeoutError: it won't, or not within `timeout` seconds of the queue's clock.
        """

        def has_ended() -> bool:
            return bool(backend.get_task_meta(task_id)["status"] in states.READY_STATES)

        if not self.run_until(has_ended, timeout_seconds=timeout):
            raise TimeoutError(f"Nothing in the queue ends task {task_id} in time.")
        meta: dict[str, Any] = backend.get_task_meta(task_id)
        return meta


def to_line(line: MemoryLine) -> RoundTrip:
    """What publishing sends its messages by; they are sent nowhere but into the line."""

    def send(commands: Sequence[Command]) -> list[Any]:
        for push, _list, message in commands:
            line.publish(read_publication(message), serve_next=push == "RPUSH")
        return []

    return send


class NoRedis:
    """In a client's place: whoever needs more than publishing does is told so."""

    def __getattr__(self, name: str) -> Any:
        raise redis.ConnectionError(f"The queue in memory has no Redis to ask for {name!r}.")


def read_publication(message: str) -> Publication:
    """What a message about a job says: the inverse of `make_message`."""
    content = json.loads(message)
    headers = content["headers"]
    queue = content["properties"]["delivery_info"]["routing_key"]
    return Publication(
        job_id=headers["id"],
        publication=headers["publication"],
        task=headers["task"],
        model=queue.removeprefix(QUEUE_PREFIX),
        key_id=headers["key_id"],
        due_at=datetime.fromisoformat(headers["due_at"]),
        priority=headers["submitted_level"],
    )


def _trace(name: str, task_id: str, args: Any, kwargs: Any, request: dict[str, Any]) -> None:
    """Run a task as a worker's child does."""
    task = app.tasks[name]
    request = {**request, "id": task_id, "task": name, "delivery_info": {}}
    build_tracer(name, task, app=app)(task_id, args, kwargs, request)


@contextmanager
def memory_queue(**options: Any) -> Iterator[TaskQueue]:
    """The tasks of this process on a new queue in memory, whose arguments these are; then as before."""
    queue = TaskQueue(**options)
    resources = Resources(get_settings(), queue.database)
    resources.__dict__.update(
        redis=NoRedis(),
        round_trip=to_line(queue.line),
        service=queue.service,
        catalog=queue.catalog,
        events=queue.events,
    )

    # A function, and not the queue's own method, since the class binds it to the backend.
    def wait_for(backend: JobBackend, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return queue.wait_for(backend, *args, **kwargs)

    with ExitStack() as swapped:
        swapped.callback(queue.close)
        swapped.enter_context(use_resources(resources))
        for owner, name, double in (
            (app, "send_task", queue.send_task),
            (app.control, "revoke", queue.revoke),
            (publishing, "breaker", Breaker()),
            (JobTask, "runner", queue.run_task),
            (JobBackend, "wait_for", wait_for),
        ):
            swapped.enter_context(patch.object(owner, name, double))
        yield queue


@pytest.fixture
def paddock_queue() -> Iterator[TaskQueue]:
    """An empty queue in memory, on which the tasks of this process work during the test."""
    with memory_queue() as queue:
        yield queue
