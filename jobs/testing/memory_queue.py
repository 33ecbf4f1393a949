"""The queue in memory: the real service, and a worker that runs a job when it is told to."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, literal_column, select

from jobs.events import DONE, RESTART, STATUS, TOKEN
from jobs.housekeeping import expire_due, release_due
from jobs.models import IS_PENDING, Job, JobPayload, JobResult
from jobs.records import Claimed, Failure, Outcome, Policy, Publication
from jobs.requests import validate_submit
from jobs.results import text_of
from jobs.service import JobService
from jobs.states import Status
from jobs.testing.answers import Answer, default_answer, make_outcome
from jobs.testing.database import MemoryDatabase
from jobs.testing.line import MemoryLine
from jobs.testing.surroundings import WORKER, MemoryCatalog, MemoryEvents


@dataclass(frozen=True)
class RecordedJob:
    """A job as it was submitted, and how it stands; `input` is the question as JSON."""

    job_id: str
    status: Status
    kind: str
    service: str | None
    model: str
    key_id: str
    priority: int
    metadata: Mapping[str, str]
    input: Mapping[str, Any]
    attempts: int
    result_data: Any
    error_code: str | None


class MemoryQueue:
    """
    An empty queue.

    Args:
        default_model: For jobs that name none, until `install` says what there is.

    Attributes:
        answers: What the next attempts get, in the order in which jobs run.
        otherwise: What an attempt gets when there are no more of them.
        ran: The ids of the jobs that were begun, in their order; once for each attempt.
    """

    def __init__(self, *, policy: Policy | None = None, default_model: str = "test-model") -> None:
        self.database = MemoryDatabase()
        self.service = JobService(self.database, policy)
        self.line = MemoryLine()
        self.events = MemoryEvents()
        self.catalog = MemoryCatalog(self.database, default_model)
        self.answers: deque[Answer] = deque()
        self.otherwise: Answer = default_answer
        self.ran: list[str] = []

    def install(self, *models: str) -> None:
        """Have these models and no others: submitting to another one raises ModelNotInstalled."""
        self.catalog.install(models)

    def fail(
        self, code: str = "ollama_error", message: str = "Ollama failed.", *, is_retryable: bool = False
    ) -> None:
        """Let the next attempt fail. A retryable one is held back and tried again, as often as allowed."""
        self.answers.append(Failure(code, message, is_retryable))

    @property
    def jobs(self) -> list[RecordedJob]:
        """All jobs, in the order in which they were submitted."""
        found = (
            select(Job, JobPayload.input, JobResult.result_data)
            .join(JobPayload, JobPayload.job_id == Job.id)
            .outerjoin(JobResult, JobResult.job_id == Job.id)
            .order_by(literal_column("jobs.rowid"))
        )
        with self.database.reading() as session:
            return [_record(*row) for row in session.execute(found)]

    def submit(self, *, key_id: str = "local", **values: Any) -> str:
        """
        Submit a job without Celery, by the fields of the Job API; returns its id.

        Raises:
            InvalidRequest, ModelNotInstalled: nothing has been written.
        """
        request = validate_submit(values)
        submitted = self.service.submit(
            request,
            model=self.catalog.resolve(request.model),
            key_id=key_id,
            task=f"tasks.{request.resolved_kind}",
        )
        if submitted.publication is not None:
            self.line.publish(submitted.publication)
        return submitted.job_id

    def run_one(self) -> str | None:
        """Run the job whose turn it is, void messages apart; returns its id, None when nothing is due."""
        self.keep()
        already = len(self.ran)
        while len(self.ran) == already:
            publication = self.line.take()
            if publication is None:
                return None
            self.deliver(publication)
        self.keep()
        return self.ran[already]

    def run_all(self) -> int:
        """Run what is due, and what comes of it, until nothing is; returns how many attempts that were."""
        already = len(self.ran)
        while self.run_one() is not None:
            pass
        return len(self.ran) - already

    def run_until(self, is_done: Callable[[], bool], *, timeout_seconds: float | None = None) -> bool:
        """
        Run jobs until `is_done`. Where nothing is due, the clock moves on to what is due next.

        Returns:
            False when it can't come true: nothing is left to run, or not within the timeout.
        """
        ends_at = (
            None if timeout_seconds is None else self.database.now() + timedelta(seconds=timeout_seconds)
        )
        while not is_done():
            if self.run_one() is not None or is_done():
                continue
            change_at = self._next_change()
            if change_at is None or (ends_at is not None and change_at > ends_at):
                return False
            self.advance((change_at - self.database.now()).total_seconds())
        return True

    def advance(self, seconds: float) -> None:
        """Move the clock on: countdowns and back-offs end, deadlines pass. Nothing is run."""
        self.database.advance(seconds)
        self.keep()

    def keep(self) -> None:
        """Do what the keeper does: release what is due, and expire what is late."""
        for publication in release_due(self.service):
            self.line.publish(publication)
        for job_id in expire_due(self.service):
            self.events.add(job_id, DONE, {"status": Status.EXPIRED})

    def deliver(self, publication: Publication) -> None:
        """Hand a message to the worker."""
        claimed = self.claim(publication.job_id, publication.publication)
        if claimed is not None:
            self.answer(claimed)

    def claim(self, job_id: str, publication: int) -> Claimed | None:
        """Begin the job that a message names; None when the message is void."""
        claimed = self.service.claim(job_id, publication=publication, worker=WORKER)
        if claimed is not None:
            self.ran.append(job_id)
            self.events.add(job_id, STATUS, {"status": Status.PROCESSING})
            if claimed.claim > 1:
                self.events.add(job_id, RESTART, {})
        return claimed

    def answer(self, claimed: Claimed) -> Outcome | Failure | None:
        """
        End a run with the answer whose turn it is.

        Returns:
            How the job has ended; None: it is tried again later, or was cancelled meanwhile.
        """
        given = self.answers.popleft() if self.answers else self.otherwise
        try:
            data = given(claimed) if callable(given) else given
            ended = data if isinstance(data, Failure) else make_outcome(claimed, data)
        except Exception as error:  # the answer's own, as any error inside a worker
            ended = Failure("internal_error", f"The worker failed: {error!r}.")
        status: Status | None
        if isinstance(ended, Outcome):
            is_kept = self.service.finish(claimed.job_id, claimed.claim, ended)
            status = Status.COMPLETED if is_kept else None
            if is_kept and (text := text_of(ended.result_data)):
                self.events.add(claimed.job_id, TOKEN, {"text": text})
        else:
            status = self.service.fail_attempt(claimed, ended, worker=WORKER)
        if status is not None:
            self.events.add(claimed.job_id, DONE if status.is_complete else STATUS, {"status": status})
        return ended if status is not None and status.is_complete else None

    def close(self) -> None:
        """Forget everything."""
        self.database.close()

    def _next_change(self) -> datetime | None:
        """When the next waiting job is released or expires."""
        with self.database.reading() as session:
            row = session.execute(
                select(func.min(Job.not_before), func.min(Job.deadline_at)).where(IS_PENDING)
            ).one()
        return min((moment for moment in row if moment is not None), default=None)


def _record(job: Job, given: Mapping[str, Any], result_data: Any) -> RecordedJob:
    return RecordedJob(
        job_id=job.id,
        status=Status(job.status),
        kind=job.kind,
        service=job.service,
        model=job.model,
        key_id=job.key_id,
        priority=job.priority,
        metadata=job.labels,
        input=given,
        attempts=job.attempts,
        result_data=result_data,
        error_code=job.error_code,
    )
