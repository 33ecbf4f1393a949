"""The jobs that used up their attempts: look at them, and run one again."""

from flask import Response, request

from api.access import list_own_jobs, view_own_job
from api.admin.blueprints import admin_blueprint
from api.admin.schemas import DeadLetterQuery
from api.documentation import answers
from api.list_query import ListQuery
from api.rendering import render_job, respond, respond_job
from api.schemas import JobAnswer, JobList, JobPath
from api.submitting import retry_own_job
from jobs.errors import JobNotFound
from jobs.states import Status

blueprint = admin_blueprint("dead_letters", "dead-letters")


@blueprint.get("/", responses=answers({200: JobList}, 422))
def list_dead_letters(query: DeadLetterQuery) -> Response:
    """Failed jobs of every key, newest first, each with what its attempts ended with."""
    wanted = ListQuery(status=Status.FAILED, model=query.model, limit=query.limit, cursor=query.cursor)
    views, next_cursor = list_own_jobs(wanted)
    shown = [render_job(view, request.script_root) for view in views]
    return respond(JobList(jobs=shown, next_cursor=next_cursor))


@blueprint.post("/<job_id>/retry/", responses=answers({202: JobAnswer}, 404, 409))
def retry_dead_letter(path: JobPath) -> Response:
    """Run a failed job again, with a new budget of attempts."""
    if view_own_job(path.job_id).job.status != Status.FAILED:
        raise JobNotFound("There is no such job among the dead letters.")
    retry_own_job(path.job_id)
    return respond_job(view_own_job(path.job_id), request.script_root, 202)
