"""The Job API: submit, look, wait, listen, move, cancel, retry."""

from collections.abc import Iterator
from contextlib import ExitStack

from flask import Response, request
from flask_openapi import APIBlueprint, Tag

from api.access import (
    job_reader,
    list_own_jobs,
    read_own_history,
    read_own_position,
    status_reader,
    view_own_job,
)
from api.documentation import answers
from api.late import get_resources
from api.list_query import ListQuery
from api.live import live_events
from api.preferences import wait_as_preferred
from api.rendering import render_history, render_job, render_whole, respond, respond_job
from api.results import require_completed
from api.schemas import (
    EventsQuery,
    HistoryAnswer,
    JobAnswer,
    JobList,
    JobPath,
    MoveJob,
    WaitQuery,
    WholeJob,
    WhyAnswer,
)
from api.sse import JobStream, last_event_id
from api.submitting import cancel_own_job, move_own_job, respond_submitted, retry_own_job, submit_job
from api.waiting import wait_until_complete
from api.why import explain_wait
from jobs.requests import SubmitJob
from jobs.states import Status

blueprint = APIBlueprint("jobs", __name__, url_prefix="/api/llm/jobs", abp_tags=[Tag(name="Jobs")])


@blueprint.post("/submit/", responses=answers({200: JobAnswer, 202: JobAnswer}, 400, 404, 413, 415, 422, 429))
def submit(body: SubmitJob) -> Response:
    """Submit a job; it is accepted when this answers 202. With `Prefer: wait=N`, 200 once it is complete."""
    return respond_submitted(submit_job(body))


@blueprint.get("/", responses=answers({200: JobList}, 422))
def list_jobs(query: ListQuery) -> Response:
    """Jobs, newest first: the caller's own; an admin sees all."""
    views, next_cursor = list_own_jobs(query)
    shown = [render_job(view, request.script_root) for view in views]
    return respond(JobList(jobs=shown, next_cursor=next_cursor))


@blueprint.get("/<job_id>/", responses=answers({200: WholeJob}, 404))
def show(path: JobPath) -> Response:
    """A job with what was asked and, once completed, what came out."""
    wait_as_preferred(path.job_id)
    return respond(render_whole(view_own_job(path.job_id, whole=True), request.script_root))


@blueprint.get("/<job_id>/status/", responses=answers({200: JobAnswer}, 404, 422))
def status(path: JobPath, query: WaitQuery) -> Response:
    """How far a job is; with `wait`, answers as soon as it is complete."""
    wait_as_preferred(path.job_id)
    view = view_own_job(path.job_id)
    if query.wait and not Status(view.job.status).is_complete:
        is_complete = status_reader(path.job_id)
        wait_until_complete(path.job_id, query.wait, live=live_events(), is_complete=is_complete)
        view = view_own_job(path.job_id)
    return respond_job(view, request.script_root)


@blueprint.get("/<job_id>/result/", responses=answers({200: WholeJob}, 404, 409))
def result(path: JobPath) -> Response:
    """The whole job once it is completed; 409 before, and when it did not complete."""
    wait_as_preferred(path.job_id)
    view = view_own_job(path.job_id, whole=True)
    require_completed(view)
    return respond(render_whole(view, request.script_root))


@blueprint.patch("/<job_id>/", responses=answers({200: JobAnswer}, 400, 404, 409, 413, 415, 422))
def move(path: JobPath, body: MoveJob) -> Response:
    """Give a pending job another priority, as if it had been submitted with it."""
    move_own_job(path.job_id, body.priority)
    return respond_job(view_own_job(path.job_id), request.script_root)


@blueprint.get("/<job_id>/history/", responses=answers({200: HistoryAnswer}, 404))
def history(path: JobPath) -> Response:
    """What has happened to a job, the earliest first."""
    return respond(render_history(*read_own_history(path.job_id)))


@blueprint.get("/<job_id>/why/", responses=answers({200: WhyAnswer}, 404))
def why(path: JobPath) -> Response:
    """What a job waits for, and for how long."""
    return respond(explain_wait(*read_own_position(path.job_id)))


@blueprint.post("/<job_id>/cancel/", responses=answers({202: JobAnswer}, 404, 409))
def cancel(path: JobPath) -> Response:
    """Cancel a job; a running generation stops within a second."""
    cancel_own_job(path.job_id)
    return respond_job(view_own_job(path.job_id), request.script_root, 202)


@blueprint.post("/<job_id>/retry/", responses=answers({202: JobAnswer}, 404, 409))
def retry(path: JobPath) -> Response:
    """Run a failed, expired or cancelled job again, with a new budget of attempts and no deadline."""
    retry_own_job(path.job_id)
    return respond_job(view_own_job(path.job_id), request.script_root, 202)


@blueprint.get("/<job_id>/events/", responses=answers({200: "text/event-stream", 204: None}, 404, 422))
def events(path: JobPath, query: EventsQuery) -> Response:
    """A job's status and tokens as they come; resumes after Last-Event-ID."""
    stream = JobStream(
        path.job_id,
        live=live_events(),
        client=get_resources().redis,
        read_job=job_reader(path.job_id, request.script_root),
        is_complete=status_reader(path.job_id),
        after=last_event_id(request.headers.get("Last-Event-ID") or query.last_event_id),
    )
    with ExitStack() as closing:
        subscription = closing.enter_context(live_events().subscribe(path.job_id))
        job = render_job(view_own_job(path.job_id), request.script_root)
        if job.is_complete and stream.has_ended():
            return Response(status=204)  # an EventSource that came back by itself: it has seen the end
        leaving = closing.pop_all()
    frames = _leaving_at_the_end(stream.frames(job, subscription), leaving)
    headers = {"X-Accel-Buffering": "no"}
    response = Response(frames, mimetype="text/event-stream", headers=headers)
    response.call_on_close(leaving.close)  # also one of which nothing was read
    return response


def _leaving_at_the_end(frames: Iterator[str], leaving: ExitStack) -> Iterator[str]:
    with leaving:
        yield from frames
