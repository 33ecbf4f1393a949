"""Whether this process serves, and whether everything behind it does."""

from typing import Any, Literal

import redis
from flask import Response
from flask_openapi import APIBlueprint, Tag
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from api.auth import is_verified, open_to_all, survives_database
from api.database import get_database
from api.documentation import answers
from api.late import get_resources
from api.rendering import respond, without_credentials
from api.schemas import Alive, Health
from jobs.workers import WorkerReport

blueprint = APIBlueprint("health", __name__, abp_tags=[Tag(name="Health")])

State = Literal["healthy", "degraded", "unhealthy"]


@blueprint.get("/", doc_ui=False)
@open_to_all
def home() -> Response:
    """Ollama's own line, which its clients look for."""
    return Response("Ollama is running", mimetype="text/plain")


@blueprint.get("/healthz/", responses={200: Alive})
@open_to_all
def alive() -> Response:
    """Answers while this process can serve."""
    return respond(Alive())


@blueprint.get("/api/health/", responses=answers({200: Health, 503: Health}))
@survives_database
def check() -> Response:
    """Database, broker, workers and every Ollama; 503 when jobs can't be accepted."""
    database = _database()
    if not is_verified():  # without the database no key can be checked: say no more than that
        return respond(Health(status="unhealthy", database=database), 503, without_null=True)
    found = get_resources().catalog.workers()
    broker, workers = _broker(), _workers(found)
    ollama = [_ollama(worker) for worker in found]
    parts = [broker["status"], workers["status"], *(entry["status"] for entry in ollama)]
    state: State = "healthy" if set(parts) == {"healthy"} else "degraded"
    if database["status"] != "healthy":
        state = "unhealthy"
    answer = Health(status=state, database=database, broker=broker, workers=workers, ollama=ollama)
    return respond(answer, 503 if state == "unhealthy" else 200)


def _database() -> dict[str, Any]:
    try:
        with get_database().reading() as session:
            session.execute(text("SELECT 1"))
    except SQLAlchemyError as error:
        return {"status": "unhealthy", "error": type(error).__name__}
    return {"status": "healthy"}


def _broker() -> dict[str, Any]:
    try:
        get_resources().redis.ping()
    except redis.RedisError as error:
        return {"status": "unhealthy", "error": type(error).__name__}
    return {"status": "healthy"}


def _workers(found: list[WorkerReport]) -> dict[str, Any]:
    return {
        "status": "healthy" if found else "unhealthy",
        "count": len(found),
        "slots": sum(worker.concurrency for worker in found),
        "names": [worker.name for worker in found],
    }


def _ollama(worker: WorkerReport) -> dict[str, Any]:
    return {
        "status": "healthy" if worker.ollama_healthy else "unhealthy",
        "url": without_credentials(worker.ollama_url),
        "version": worker.ollama_version,
        "is_simulated": worker.is_simulated,
        "worker": worker.name,
        "models": sorted(model.name for model in worker.models),
    }
