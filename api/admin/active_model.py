"""The model that answers requests which name none."""

from flask import Response

from api.admin.blueprints import admin_blueprint
from api.admin.schemas import ActiveModelAnswer, ActiveModelBody
from api.database import get_database
from api.documentation import answers
from api.late import get_resources
from api.rendering import respond
from jobs.active_model import choose_active
from jobs.errors import ModelNotInstalled, NoModel

blueprint = admin_blueprint("active_model", "active-model")


@blueprint.get("/", responses=answers({200: ActiveModelAnswer}))
def show_active_model() -> Response:
    """The activated model, and what requests without one get."""
    catalog = get_resources().catalog
    try:
        resolved = catalog.resolve(None)
    except (NoModel, ModelNotInstalled):
        resolved = None
    return respond(ActiveModelAnswer(model=catalog.active(), resolved=resolved))


@blueprint.put("/", responses=answers({200: ActiveModelAnswer}, 400, 404, 413, 415, 422))
def activate_model(body: ActiveModelBody) -> Response:
    """Activate a model: later requests without one follow at once, in every process."""
    if body.model is not None:
        get_resources().catalog.require_installed(body.model)
    choose_active(get_database(), body.model)
    answer: Response = show_active_model()
    return answer
