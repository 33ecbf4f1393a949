"""
Everything the core raises.

    JobsError
    ├── InvalidRequest        a submitted value is not allowed
    ├── JobNotFound           no such job, or not the caller's
    ├── KeyNotFound           no such API key
    ├── ModelNotInstalled     no live worker's Ollama has the model
    ├── NoModel               no model was named and none is known
    ├── IdempotencyConflict   an Idempotency-Key was used for something else before
    ├── NotCompleted          a result was asked for before there is one
    ├── AlreadyComplete       a final state can't be changed that way
    ├── StillActive           only a job that has ended can be run again
    ├── NotPending            only a job that waits can be moved
    ├── QueueFull             as many jobs are pending as the installation allows
    ├── ModelNotAllowed       the key may not use the model
    ├── TooManyPending        as many of the key's jobs are pending as it may have
    ├── TooManyRequests       the key submits faster than it may
    └── JobFailed             what a failed job's result raises in Python code
"""

from collections.abc import Sequence


class JobsError(Exception):
    """Root of the core's errors; the docstring of a subclass is its default message."""

    code = "error"

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())

    @property
    def message(self) -> str:
        return str(self.args[0])


class InvalidRequest(JobsError):
    """The request is not valid."""

    code = "invalid_request"


class JobNotFound(JobsError):
    """There is no such job."""

    code = "job_not_found"


class KeyNotFound(JobsError):
    """There is no such API key."""

    code = "key_not_found"


class ModelNotInstalled(JobsError):
    """No worker's Ollama has this model."""

    code = "model_not_found"

    def __init__(self, model: str, installed: Sequence[str]) -> None:
        super().__init__(f"No Ollama has the model {model!r}. Installed: {', '.join(installed) or 'none'}.")
        self.model = model
        self.installed = list(installed)


class NoModel(JobsError):
    """No model was named, and none is installed or set as default. Name one with "model"."""

    code = "no_model"


class IdempotencyConflict(JobsError):
    """This Idempotency-Key was used for another request; use a new one for each."""

    code = "idempotency_conflict"


class NotCompleted(JobsError):
    """The job is not completed, so it has no result."""

    code = "not_completed"


class AlreadyComplete(JobsError):
    """The job is complete and can't be changed."""

    code = "already_complete"


class NotPending(JobsError):
    """The job does not wait any more."""

    code = "not_pending"


class StillActive(JobsError):
    """The job has not ended yet."""

    code = "still_active"


class QueueFull(JobsError):
    """As many jobs are pending as this installation allows."""

    code = "queue_full"


class ModelNotAllowed(JobsError):
    """The key may not use this model."""

    code = "model_not_allowed"

    def __init__(self, model: str, allowed: Sequence[str]) -> None:
        super().__init__(f"This key may not use the model {model!r}. It may use: {', '.join(allowed)}.")


class TooManyPending(JobsError):
    """As many of this key's jobs are pending as it may have."""

    code = "too_many_pending"


class TooManyRequests(JobsError):
    """This key submits more jobs a minute than it may."""

    code = "too_many_requests"

    def __init__(self, message: str | None = None, *, retry_after_seconds: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class JobFailed(JobsError):
    """The job failed."""

    code = "job_failed"
