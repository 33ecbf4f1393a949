"""One route for each service, made from its definition; and the one of the trainer's analysis."""

import uuid
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

from flask import Response
from flask_openapi import APIBlueprint, Tag
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from api.documentation import answers
from api.late import get_resources
from api.schemas import JobAnswer
from api.submitting import respond_submitted, submit_job
from jobs.errors import InvalidRequest, ModelNotInstalled
from jobs.model_names import model_id, normalise_model
from jobs.requests import Label, SubmitJob

if TYPE_CHECKING:
    from tasks.service import Service

TAGS: list[Tag | dict[str, Any]] = [Tag(name="Services")]
TRAINER_ANALYSIS = "trainer-analysis"
_PROBLEMS = (400, 404, 413, 415, 422, 429)

blueprint = APIBlueprint("trainer_analysis", __name__, url_prefix="/api/llm", abp_tags=TAGS)


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


QuestionId = Annotated[
    Label,
    BeforeValidator(_as_text),
    WithJsonSchema({"anyOf": [{"type": "string", "maxLength": 1000}, {"type": "integer"}]}),
]


class TrainerAnalysis(BaseModel):
    """What a trainer's tool sends: a question's id, and everything the model is to read."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "model_id": "llama3.1:8b",
                "question_id": "q-17",
                "system_message": "You assess answers for a trainer.",
                "full_input": "Question: … Answer: …",
            }
        },
    )

    model_id: Annotated[str, Field(max_length=255)] = Field(description="A model's id or name.")
    question_id: QuestionId = Field(description="Comes back as metadata.question_id.")
    system_message: str | None = None
    full_input: Annotated[str, Field(min_length=1)]


@blueprint.post("/trainer-analysis/", responses=answers({200: JobAnswer, 202: JobAnswer}, *_PROBLEMS))
def trainer_analysis(body: TrainerAnalysis) -> Response:
    """Submit a trainer's analysis: a prompt on the model that `model_id` stands for."""
    request = SubmitJob(
        prompt=body.full_input,
        system=body.system_message,
        model=_model_named(body.model_id),
        metadata={"question_id": body.question_id},
    )
    return respond_submitted(submit_job(request, service=TRAINER_ANALYSIS))


def _model_named(given: str) -> str:
    """
    The name of the model with this id or name.

    Raises:
        ModelNotInstalled: there is none.
    """
    catalog = get_resources().catalog
    names = [model.name for model in catalog.models()]
    try:
        wanted = str(uuid.UUID(given))
    except ValueError:
        try:
            return normalise_model(given)
        except InvalidRequest:
            raise ModelNotInstalled(given[:100], names) from None
    for name in names:
        if model_id(name) == wanted:
            return name
    raise ModelNotInstalled(given, names)


@cache
def make_blueprint() -> APIBlueprint:
    """The services' routes, the same for every app; made late, since their tasks need Celery."""
    from tasks.services import SERVICES

    services = APIBlueprint("services", __name__, url_prefix="/api/llm/services", abp_tags=TAGS)
    for service in SERVICES.values():
        _add_route(services, service)
    return services


def _add_route(services: APIBlueprint, service: "Service") -> None:
    from tasks.services import TASKS

    def submit(body: Any) -> Response:
        return respond_submitted(submit_job(service.request(body), task=TASKS[service.name]))

    submit.__name__ = service.name.replace("-", "_")
    submit.__annotations__["body"] = service.input
    content = {
        "schema": {"$ref": f"#/components/schemas/{service.input.__name__}"},
        "example": dict(service.example),
    }
    route = services.post(
        f"/{service.name}/",
        summary=service.summary,
        responses=answers({200: JobAnswer, 202: JobAnswer}, *_PROBLEMS),
        request_body={"content": {"application/json": content}, "required": True},
    )
    route(submit)
