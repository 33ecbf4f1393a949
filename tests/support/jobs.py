"""Jobs in every state, made through the service as the product makes them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select

from jobs.housekeeping import expire_due
from jobs.models import Attempt, Job, JobPayload, JobResult
from jobs.records import Claimed, Failure, Outcome
from jobs.requests import validate_submit
from jobs.service import JobService
from jobs.states import Status

NOW = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
LEASE = timedelta(seconds=5)  # the default policy's
WORKER = "w1@gpu"
OUTCOME = Outcome(
    result={"done": True, "eval_count": 2},
    result_data="It scatters.",
    processing_seconds=1.5,
    load_seconds=0.25,
    prompt_tokens=7,
    output_tokens=2,
    tokens_per_second=8.0,
)
FAILURE = Failure("server_error", "Ollama failed.", is_retryable=True)
FINAL_FAILURE = Failure("bad_request", "Ollama refused.")

_OPTIONS = ("job_id", "service", "canvas", "has_successors", "delay_seconds", "now", "key_id")


def submit(queue: JobService, *, model: str = "alpha", **values: Any) -> str:
    """Submit a job and give its id; `values` are the request's fields or the service's options."""
    options = {name: values.pop(name) for name in _OPTIONS if name in values}
    request = validate_submit({"prompt": "Why?"} | values)
    known = {"model": model, "task": f"tasks.{request.resolved_kind}", "key_id": "k1", "now": NOW}
    return queue.submit(request, **(known | options)).job_id


def claim(service: JobService, job_id: str, *, now: datetime = NOW, worker: str = WORKER) -> Claimed:
    """Claim a pending job by its current publication."""
    claimed = service.claim(job_id, publication=row(service, job_id).publication, worker=worker, now=now)
    assert claimed is not None
    return claimed


def running(service: JobService, **values: Any) -> Claimed:
    """A job that a worker runs."""
    return claim(service, submit(service, **values))


def make(service: JobService, status: Status, **values: Any) -> str:
    """A job in this state."""
    if status is Status.EXPIRED:
        values.setdefault("deadline_seconds", 1.0)
    job_id = submit(service, **values)
    match status:
        case Status.PROCESSING:
            claim(service, job_id)
        case Status.COMPLETED:
            assert service.finish(job_id, claim(service, job_id).claim, OUTCOME, now=NOW + SECOND)
        case Status.FAILED:
            service.fail_attempt(claim(service, job_id), FINAL_FAILURE, worker=WORKER, now=NOW + SECOND)
        case Status.CANCELLED:
            service.cancel(job_id, now=NOW + SECOND)
        case Status.EXPIRED:
            expire_due(service, now=NOW + SECOND)
    assert row(service, job_id).status == status
    return job_id


def row(service: JobService, job_id: str) -> Job:
    """The job's row as it is now."""
    with service.database.reading() as session:
        return session.get_one(Job, job_id)


def payload(service: JobService, job_id: str) -> JobPayload:
    """What was asked."""
    with service.database.reading() as session:
        return session.get_one(JobPayload, job_id)


def result(service: JobService, job_id: str) -> JobResult | None:
    """What came out, if anything did."""
    with service.database.reading() as session:
        return session.get(JobResult, job_id)


def attempts(service: JobService, job_id: str) -> list[Attempt]:
    """The runs that failed, in their order."""
    with service.database.reading() as session:
        found = select(Attempt).where(Attempt.job_id == job_id).order_by(Attempt.claim)
        return list(session.execute(found).scalars())
