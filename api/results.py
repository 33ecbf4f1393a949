"""A job's result, or why there is none."""

from api.errors import JobCancelled, JobExpired
from jobs.errors import JobFailed, JobsError, NotCompleted
from jobs.queries import JobView
from jobs.results import text_of
from jobs.states import Status


def require_completed(view: JobView) -> None:
    """
    Make sure that there is a result.

    Raises:
        NotCompleted: not yet. JobFailed, JobCancelled, JobExpired: never.
    """
    error = _reason(view)
    if error is not None:
        raise error


def _reason(view: JobView) -> JobsError | None:
    job = view.job
    match Status(job.status):
        case Status.COMPLETED:
            return None
        case Status.FAILED:
            return JobFailed(f"The job failed with {job.error_code}: {job.error_message}")
        case Status.CANCELLED:
            return JobCancelled()
        case Status.EXPIRED:
            return JobExpired()
        case status:
            return NotCompleted(f"The job is {status}, so it has no result yet.")


def plain_state(view: JobView) -> tuple[str, str | None, str | None]:
    """
    A job in the words of `ollama_job_responses`.

    Returns:
        pending, done or failed; the text when done; the reason when failed.
    """
    status = Status(view.job.status)
    if status is Status.COMPLETED:
        return "done", text_of(view.result_data), None
    if status.is_complete:
        return "failed", None, view.job.error_message or f"The job is {status}."
    return "pending", None, None
