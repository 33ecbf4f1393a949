"""
Celery's result backend on the job table.

A job's row already says what Celery wants to know, so storing its result is no
further write. Results of tasks that are not jobs go to Celery's own tables.
"""

import time
from collections.abc import Callable
from typing import Any

from celery import states
from celery.backends.database import DatabaseBackend
from celery.canvas import maybe_signature
from celery.exceptions import TaskRevokedError, TimeoutError
from sqlalchemy import delete
from sqlalchemy.orm import Session

from jobs.errors import JobFailed
from jobs.models import Job, JobResult
from jobs.states import Status
from tasks import chords
from tasks.cancelling import cancel_quietly
from tasks.resources import get_resources
from tasks.task_result import TaskResult, make_result

POLL_SECONDS = 0.02
_SUCCESSORS = ("callbacks", "errbacks", "chain", "chord")  # a request's names for them

CELERY_STATES = {
    Status.PENDING: states.PENDING,
    Status.PROCESSING: states.STARTED,
    Status.COMPLETED: states.SUCCESS,
    Status.FAILED: states.FAILURE,
    Status.EXPIRED: states.FAILURE,
    Status.CANCELLED: states.REVOKED,
}


class JobBackend(DatabaseBackend):
    subpolling_interval = POLL_SECONDS

    def ResultSession(self, session_manager: Any = None) -> Session:
        return Session(get_resources().database.engine)

    def on_backend_retryable_error(self, exc: BaseException) -> None:
        """Nothing to throw away: sessions live for one call."""

    def mark_as_done(self, task_id: str, result: Any, request: Any = None, *args: Any, **kwargs: Any) -> None:
        super().mark_as_done(task_id, result, request, *args, **kwargs)
        self._told(task_id, request)

    def mark_as_failure(self, task_id: str, *args: Any, request: Any = None, **kwargs: Any) -> None:
        super().mark_as_failure(task_id, *args, request=request, **kwargs)
        self._told(task_id, request)

    @staticmethod
    def _told(task_id: str, request: Any) -> None:
        """Links went out before, chord and errbacks just now: the keeper need not."""
        if request is not None and any(getattr(request, name, None) for name in _SUCCESSORS):
            get_resources().service.successors_sent(task_id)

    def _store_result(
        self,
        task_id: str,
        result: Any,
        state: str,
        traceback: Any = None,
        request: Any = None,
        **kwargs: Any,
    ) -> None:
        if isinstance(result, TaskResult) and result.get("job_id") == task_id:
            return  # a job that has just been finished: looking for its row cost a fifth of a run
        if self._find_job(task_id) is None:
            super()._store_result(task_id, result, state, traceback=traceback, request=request, **kwargs)
        elif state == states.REVOKED:  # every other state is the row's own already
            cancel_quietly(task_id)

    def _get_task_meta_for(self, task_id: str) -> dict[str, Any]:
        job = self._find_job(task_id)
        if job is None:
            meta: dict[str, Any] = super()._get_task_meta_for(task_id)
            return meta
        status = Status(job.status)
        return {
            "task_id": task_id,
            "status": CELERY_STATES[status],
            "result": self._result_of(job, status),
            "traceback": None,
            "children": [],
            "date_done": job.completed_at.isoformat() if job.completed_at else None,
        }

    def _result_of(self, job: Job, status: Status) -> Any:
        if status is Status.COMPLETED:
            with get_resources().database.reading() as session:
                stored = session.get(JobResult, job.id)
            figures = {
                "prompt_tokens": job.prompt_tokens,
                "output_tokens": job.output_tokens,
                "tokens_per_second": job.tokens_per_second,
                "load_seconds": job.load_seconds,
                "processing_time": job.processing_seconds,
            }
            data = stored.result_data if stored else None
            return make_result(job_id=job.id, kind=job.kind, model=job.model, data=data, figures=figures).data
        if status in (Status.FAILED, Status.EXPIRED):
            return JobFailed(f"{job.error_code}: {job.error_message}")
        return TaskRevokedError(job.error_message) if status is Status.CANCELLED else None

    def _forget(self, task_id: str) -> None:
        """Drop the job and its result; one that is still on its way stays."""
        database = get_resources().database
        with database.writing() as session:
            job = session.get(Job, task_id)
            if job is not None and Status(job.status).is_complete:
                session.execute(delete(Job).where(Job.id == task_id))
        if job is None:
            super()._forget(task_id)

    def apply_chord(self, header_result_args: Any, body: Any, **kwargs: Any) -> None:
        """Keep the chord's shape, so that its results can be put together in their order."""
        self.ensure_chords_allowed()
        chords.open_chord(get_resources().database, header_result_args[0])
        self.app.GroupResult(*header_result_args).save(backend=self)

    def set_chord_size(self, group_id: str, chord_size: int) -> None:
        chords.set_size(get_resources().database, group_id, chord_size)

    def on_chord_part_return(self, request: Any, state: str, result: Any, **kwargs: Any) -> None:
        """Count a chord's task that has ended; after the last one the chord's body is sent."""
        group_id, database = request.group, get_resources().database
        if group_id and request.id and chords.is_complete_with(database, group_id, request.id):
            chords.send_body(self, group_id, maybe_signature(request.chord, app=self.app))

    def wait_for(
        self,
        task_id: str,
        timeout: float | None = None,
        interval: float = POLL_SECONDS,
        no_ack: bool = True,
        on_interval: Callable[[], Any] | None = None,
    ) -> dict[str, Any]:
        """Celery's own loop, but often enough that `.get()` returns within 100 ms."""
        self._ensure_not_eager()
        ends_at = None if timeout is None else time.monotonic() + timeout
        while True:
            meta: dict[str, Any] = self.get_task_meta(task_id)
            if meta["status"] in states.READY_STATES:
                return meta
            if on_interval:
                on_interval()
            if ends_at is not None and time.monotonic() >= ends_at:
                raise TimeoutError("The operation timed out.")
            time.sleep(min(interval, POLL_SECONDS))

    def _find_job(self, task_id: str) -> Job | None:
        with get_resources().database.reading() as session:
            return session.get(Job, task_id)
