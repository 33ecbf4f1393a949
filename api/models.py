"""Which models can be asked for."""

from flask import Response
from flask_openapi import APIBlueprint, Tag

from api.documentation import answers
from api.late import get_resources
from api.rendering import respond
from api.schemas import ModelAnswer, ModelList
from jobs.catalog import ModelCatalog
from jobs.errors import ModelNotInstalled, NoModel
from jobs.model_names import model_id

blueprint = APIBlueprint("models", __name__, url_prefix="/api/llm/models", abp_tags=[Tag(name="Models")])


@blueprint.get("/", responses=answers({200: ModelList}))
def list_models() -> Response:
    """The models of all live workers; without any, those last seen."""
    catalog = get_resources().catalog
    active = _active(catalog)
    workers = [{model.name for model in worker.models} for worker in catalog.workers()]
    found = [
        ModelAnswer(
            id=model_id(model.name),
            name=model.name,
            size_bytes=model.size_bytes,
            is_loaded=model.is_loaded,
            workers=sum(model.name in installed for installed in workers),
            is_active=model.name == active,
        )
        for model in catalog.models()
    ]
    return respond(ModelList(models=found))


def _active(catalog: ModelCatalog) -> str | None:
    """The model that answers requests which name none."""
    try:
        return catalog.resolve(None)
    except (NoModel, ModelNotInstalled):
        return None
