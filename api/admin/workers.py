"""Who works: the live workers, what their Ollamas have, and what they run."""

from flask import Response

from api.admin.blueprints import admin_blueprint
from api.admin.schemas import WorkerAnswer, WorkerJob, WorkerList, WorkerModel, WorkerOllama
from api.database import get_database
from api.documentation import answers
from api.late import get_resources
from api.rendering import respond, without_credentials
from jobs.queues import RunningJob, running_jobs
from jobs.workers import WorkerReport, age_seconds

blueprint = admin_blueprint("workers", "workers")

RUNNING_AT_MOST = 10_000


@blueprint.get("/", responses=answers({200: WorkerList}))
def list_workers() -> Response:
    """The workers that are alive; none while Redis is away."""
    reports = get_resources().catalog.workers()
    with get_database().reading() as session:
        running = running_jobs(session, at_most=RUNNING_AT_MOST)
    by_worker: dict[str, list[WorkerJob]] = {report.name: [] for report in reports}
    lost: list[WorkerJob] = []
    for job in running:
        by_worker.get(job.worker, lost).append(_job(job))
    return respond(WorkerList(workers=[_worker(r, by_worker[r.name]) for r in reports], lost=lost))


def _job(job: RunningJob) -> WorkerJob:
    return WorkerJob(job_id=job.job_id, model=job.model, started_at=job.started_at)


def _worker(report: WorkerReport, running: list[WorkerJob]) -> WorkerAnswer:
    return WorkerAnswer(
        name=report.name,
        host=report.host,
        concurrency=report.concurrency,
        ollama=WorkerOllama(
            url=without_credentials(report.ollama_url),
            is_healthy=report.ollama_healthy,
            version=report.ollama_version,
            is_simulated=report.is_simulated,
        ),
        models=[
            WorkerModel(name=model.name, size_bytes=model.size_bytes, is_loaded=model.is_loaded)
            for model in sorted(report.models, key=lambda model: model.name)
        ],
        reported_seconds_ago=max(0.0, age_seconds(report)),
        running=running,
    )
