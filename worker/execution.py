"""One message, in a child: claim → ask Ollama → finish."""

import logging
import time
from dataclasses import replace
from typing import Any

from celery.exceptions import Ignore

from jobs.errors import JobFailed
from jobs.events import begun
from jobs.records import Claimed, Failure, Outcome
from jobs.states import Status
from ollama_client.errors import Aborted, GenerationAborted, OllamaError
from ollama_client.limits import Limits
from tasks import canvas
from tasks.generation import Question, ask, figures_of
from tasks.job_task import JobTask
from tasks.publishing import publish
from tasks.task_result import TaskResult, make_result
from tasks.transport import OVERLAPS
from worker.child import Child, this_child
from worker.drain import listen_for_drain
from worker.intake import take_in
from worker.lease import Run
from worker.overlapping import limits_of_run, waited_in_vain
from worker.persistence import persist
from worker.relay import Relay, make_relay
from worker.releasing import release_behind

OUTAGE_WAIT_SECONDS = 5.0
OUTAGE_POLL_SECONDS = 0.5
log = logging.getLogger(__name__)


def run_job(task: JobTask, args: tuple[Any, ...], kwargs: dict[str, Any]) -> TaskResult:
    """
    Run the job that a message names.

    Raises:
        Ignore: nothing to report to Celery: a void message, or a job that goes on later.
        JobFailed: the job has failed for good; Celery then calls its errbacks.
    """
    child = this_child()
    listen_for_drain()
    headers = task.request.headers or {}
    publication = headers.get("publication")
    if publication is None:
        take_in(task, args, kwargs)
    job_id = task.request.id
    service = child.resources.service
    claimed = persist(lambda: service.claim(job_id, publication=publication, worker=child.worker))
    if claimed is None:
        raise Ignore
    canvas.restore(task.request, claimed.canvas)
    release_behind(child.resources, claimed)
    with child.lease.hold(claimed, overlaps=OVERLAPS in headers) as run:
        if claimed.claim == 1:
            child.events.status(job_id, Status.PROCESSING, **begun(claimed, child.worker))
        else:
            child.events.status(job_id, Status.PROCESSING)
            child.events.restart(job_id)
        relay = make_relay(child, claimed)
        try:
            outcome = _generate(child, run) if relay is None else relay.generate(run)
        except OllamaError as error:
            _after_error(child, run, error, relay)
        except Exception as error:
            log.exception("job %s: the worker failed", job_id)
            _fail(child, claimed, Failure("internal_error", f"The worker failed: {type(error).__name__}."))
        outcome = replace(outcome, first_token_seconds=run.first_token_seconds)
        return _finish(child, claimed, outcome, relay)


def _generate(child: Child, run: Run) -> Outcome:
    claimed = run.claimed
    is_first = True

    def on_piece(text: str, thinking: str) -> None:
        nonlocal is_first
        if run.answered():
            child.events.answered(claimed.model)
        child.events.token(claimed.job_id, text, thinking, is_first=is_first)
        is_first = False

    given = child.context_sizes.fit(claimed.model, claimed.input)
    return ask(
        child.transport,
        Question(claimed.kind, claimed.model, given, claimed.job_id),
        limits=limits_of_run(child, run),
        cancellation=run.cancellation,
        on_piece=on_piece,
    )


def _finish(child: Child, claimed: Claimed, outcome: Outcome, relay: Relay | None) -> TaskResult:
    finished = persist(lambda: child.resources.service.finish(claimed.job_id, claimed.claim, outcome))
    if not finished:
        raise Ignore  # cancelled or taken back meanwhile: this answer is void
    child.events.loaded(claimed.model, outcome.load_seconds)
    child.events.done(claimed.job_id, Status.COMPLETED, **(relay.end() if relay else {}))
    return make_result(
        job_id=claimed.job_id,
        kind=claimed.kind,
        model=claimed.model,
        data=outcome.result_data,
        figures=figures_of(outcome),
    )


def _after_error(child: Child, run: Run, error: OllamaError, relay: Relay | None) -> None:
    """Decide what a generation that did not finish means for its job; always raises."""
    if run.lost:
        raise Ignore  # the row says why: cancelled, or somebody else's by now
    is_last = relay is not None and relay.cannot_begin_again
    if isinstance(error, Aborted) and not is_last:  # drained
        _hand_back(child, run.claimed, "drain")
        raise Ignore
    if waited_in_vain(run, error):
        _hand_back(child, run.claimed, "overlap")
        raise Ignore
    if error.is_outage and not is_last:
        _hand_back(child, run.claimed, "outage")
        log.warning("job %s: %s; waiting for Ollama", run.claimed.job_id, error.code)
        _wait_for_ollama(child)
        raise Ignore
    text = error.text if isinstance(error, GenerationAborted) else None
    message = f"{str(error).rstrip('.')}. {error.remedy}"
    failure = Failure(error.code, message, error.is_retryable and not is_last, text)
    _fail(child, run.claimed, failure, **(relay.error(error) if relay else {}))


def _fail(child: Child, claimed: Claimed, failure: Failure, **told: Any) -> None:
    """
    Count the attempt; always raises.

    Args:
        told: What a relayed client gets, should the job have failed for good.
    """
    service = child.resources.service
    status = persist(lambda: service.fail_attempt(claimed, failure, worker=child.worker))
    if status is Status.FAILED:
        child.events.done(claimed.job_id, status, **told)
        raise JobFailed(f"{failure.code}: {failure.message}") from None
    if status is Status.PENDING:
        child.events.status(claimed.job_id, status)
    raise Ignore


def _hand_back(child: Child, claimed: Claimed, reason: str) -> None:
    """Return the job to where the next one is taken from, at no cost of an attempt."""
    service = child.resources.service
    publication = persist(lambda: service.hand_back(claimed.job_id, claimed.claim, reason=reason))
    if publication is not None:
        child.events.status(claimed.job_id, Status.PENDING)
        ageing_seconds = child.resources.settings.ageing_seconds
        publish(child.resources.round_trip, [publication], ageing_seconds=ageing_seconds, serve_next=True)


def _wait_for_ollama(child: Child) -> None:
    """Take no further job until Ollama answers, or for OUTAGE_WAIT_SECONDS."""
    limits = Limits(connect_seconds=1.0, first_token_seconds=1.0)
    ends_at = time.monotonic() + OUTAGE_WAIT_SECONDS
    while time.monotonic() < ends_at and not child.lease.is_draining:
        time.sleep(OUTAGE_POLL_SECONDS)
        try:
            child.transport.request("GET", "/api/version", limits=limits)
        except OllamaError:
            continue
        return
