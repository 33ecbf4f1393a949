"""The plainest way: a prompt in, a job id out, and a word on how far it is."""

from flask import Response
from flask_openapi import APIBlueprint, Tag

from api.access import view_own_job
from api.documentation import answers
from api.errors import MissingParameter
from api.rendering import respond
from api.results import plain_state
from api.schemas import JobState, JobStateQuery, PromptBody, SubmittedJob
from api.submitting import submit_job
from jobs.errors import JobNotFound
from jobs.requests import SubmitJob

blueprint = APIBlueprint(
    "ollama_models", __name__, url_prefix="/api/ollama_models", abp_tags=[Tag(name="Prompts")]
)


@blueprint.post(
    "/query/", responses=answers({200: SubmittedJob, 202: SubmittedJob}, 400, 404, 413, 415, 422, 429)
)
def query(body: PromptBody) -> Response:
    """Submit a prompt."""
    submitted = submit_job(SubmitJob(prompt=body.prompt, model=body.model))
    return respond(SubmittedJob(job_id=submitted.job_id), 200 if submitted.is_replay else 202)


@blueprint.get("/job_status/", responses=answers({200: JobState}, 400))
def job_status(query: JobStateQuery) -> Response:
    """How far a job is; also an unknown one is pending."""
    if not query.job_id:
        raise MissingParameter("The query parameter job_id is missing.")
    try:
        state, data, error = plain_state(view_own_job(query.job_id))
    except JobNotFound:
        state, data, error = "pending", None, None
    return respond(JobState.model_validate({"state": state, "data": data, "error": error}), without_null=True)
