"""The OpenAPI document, made from the views' models and the table of errors."""

from typing import Any

from flask import Response, current_app
from flask_openapi import APIBlueprint, Info, OpenAPI
from pydantic import BaseModel

from api.auth import open_to_all
from api.errors import ERRORS
from api.schemas import Problem

DESCRIPTION = "A durable, fair, priority queue in front of Ollama. Every error is a problem (RFC 9457)."
SECURITY_SCHEMES: dict[str, Any] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key."},
    "basic": {"type": "http", "scheme": "basic", "description": "Any name, and an API key as password."},
}
INFO = Info(title="Paddock", version="0.1.0", description=DESCRIPTION)
_PROBLEM_TYPE = "application/problem+json"
_ALWAYS = (401, 403, 503)

blueprint = APIBlueprint("documentation", __name__, url_prefix="/api", doc_ui=False)


def answers(found: dict[int, type[BaseModel] | str | None], *problems: int) -> Any:
    """
    The `responses` of an operation, for flask-openapi.

    Args:
        found: By status: a model, a media type, or None for no body.
        problems: The statuses it may fail with, besides those that every operation may.
    """
    documented: dict[int, Any] = {status: _problem(status) for status in (*_ALWAYS, *problems)}
    for status, answer in found.items():
        if isinstance(answer, str):
            schema = {"schema": {"type": "string"}}
            documented[status] = {"description": answer, "content": {answer: schema}}
        else:
            documented[status] = answer
    return documented


def _problem(status: int) -> dict[str, Any]:
    codes = [f"`{kind.code}`: {kind.title}." for kind in ERRORS.values() if kind.status == status]
    reference = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {"description": " ".join(dict.fromkeys(codes)), "content": {_PROBLEM_TYPE: reference}}


@blueprint.get("/openapi.json/")
@open_to_all
def document() -> Response:
    """This API as an OpenAPI document."""
    app = current_app
    assert isinstance(app, OpenAPI)  # noqa: S101 - create_app makes one
    return Response(app.json.dumps(app.api_doc), mimetype="application/json")


class PaddockApp(OpenAPI):
    """flask-openapi's app, whose document claims a validation error only where we do."""

    def generate_spec_json(self) -> None:
        super().generate_spec_json()  # type: ignore[no-untyped-call]  # the library leaves it so
        for operations in self.spec_json["paths"].values():
            for operation in operations.values():
                invalid = operation["responses"].get("422")
                if invalid and _PROBLEM_TYPE not in invalid["content"]:
                    del operation["responses"]["422"]


def make_app(name: str) -> PaddockApp:
    """An app that knows how to describe itself."""
    from api.errors import invalid_fields

    def refuse(error: Any) -> Any:
        raise invalid_fields(error)

    app = PaddockApp(
        name,
        info=INFO,
        security_schemes=SECURITY_SCHEMES,
        validation_error_model=Problem,
        validation_error_callback=refuse,
        openapi_extensions={"security": [{name: []} for name in SECURITY_SCHEMES]},
        doc_ui=False,
    )
    app.openapi_version = "3.1.0"
    return app
