"""What is handed around about a job: plain frozen records, none of them a row."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from jobs.models import Job
from jobs.states import Status

LOSSES_FOR_A_RETRY = 5  # lost together with their worker, of the runs that a retry may cost


@dataclass(frozen=True)
class Policy:
    """How jobs are treated; the settings' values."""

    lease_seconds: float = 5.0
    max_attempts: int = 3
    backoff_seconds: tuple[float, ...] = (2.0, 4.0, 8.0)
    ageing_seconds: float = 30.0
    line_up: int = 1000

    @property
    def max_worker_losses(self) -> int:
        """How many runs a job may lose together with their whole worker; none, if it may run once only."""
        return LOSSES_FOR_A_RETRY * (self.max_attempts - 1)

    def is_spent(self, attempts: int, worker_losses: int) -> bool:
        """
        Whether a job has had all its attempts.

        A run that failed, or whose process alone was lost, is the job's own affair. With a whole worker
        all its jobs are lost, and whoever killed it is rarely one of them: that is held against a job
        only when it has been there too often.

        Args:
            attempts: Runs that failed or were lost.
            worker_losses: Of these, lost together with their whole worker.
        """
        return attempts - worker_losses >= self.max_attempts or worker_losses > self.max_worker_losses


@dataclass(frozen=True)
class Publication:
    """What a message about a job says; nothing of what was asked."""

    job_id: str
    publication: int
    task: str
    model: str
    key_id: str
    due_at: datetime
    priority: int


@dataclass(frozen=True)
class Published(Publication):
    """A message that was sent."""

    published_at: datetime


@dataclass(frozen=True)
class Claimed:
    """A job that this caller runs now, until it finishes, hands it back or loses the lease."""

    job_id: str
    claim: int
    started_at: datetime
    task: str
    kind: str
    model: str
    key_id: str
    priority: int
    needs_next: bool  # of the key's jobs of this kind few are lined up, and more wait for being released
    attempts: int
    worker_losses: int
    timeout_seconds: float | None
    input: Mapping[str, Any]
    canvas: Mapping[str, Any] | None


@dataclass(frozen=True)
class Outcome:
    """What a finished generation brought, as it is stored."""

    result: Mapping[str, Any]
    result_data: Any
    processing_seconds: float
    load_seconds: float | None = None
    first_token_seconds: float | None = None
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    tokens_per_second: float | None = None


@dataclass(frozen=True)
class Failure:
    """
    Why an attempt failed. `text` is what a given-up generation had written so far.

    The message may quote Ollama; what no database keeps in a text (NUL, half of a
    surrogate pair) is replaced, or the failure itself could not be recorded.
    """

    code: str
    message: str
    is_retryable: bool = False
    text: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        message = self.message.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")
        object.__setattr__(self, "message", message)


@dataclass(frozen=True)
class Untold:
    """An ended job whose successors still wait to hear of it."""

    job_id: str
    task: str
    status: Status
    canvas: Mapping[str, Any] | None


@dataclass(frozen=True)
class Submitted:
    """
    A submitted job.

    Attributes:
        publication: The message to publish: none for a job that is delayed, held back or was there already.
        job: The new row, to be read as `jobs.statements.AS_JOB` says; None for one that was there already.
        queue_position: The new job's, at this moment; None for one that is held back or delayed.
        is_replay: An earlier submission with the same Idempotency-Key made it.
    """

    job_id: str
    publication: Publication | None
    job: Job | None = None
    queue_position: int | None = None
    is_replay: bool = False
