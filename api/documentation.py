"""The OpenAPI document, made from the views' models and the table of errors."""

import re
import tomllib
from pathlib import Path
from typing import Any

from flask import Response, current_app, request
from flask_openapi import APIBlueprint, Info, OpenAPI
from pydantic import BaseModel

from api.auth import open_to_all
from api.errors import ERRORS, Kind
from api.examples import EVENTS, EXAMPLES
from api.schemas import Problem

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DESCRIPTION = (
    f"{PROJECT['description']}. Every error is a problem (RFC 9457). "
    "Every path answers with and without its last slash alike."
)
SECURITY_SCHEMES: dict[str, Any] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key."},
    "basic": {"type": "http", "scheme": "basic", "description": "Any name, and an API key as password."},
}
INFO = Info(title="Paddock", version=PROJECT["version"], description=DESCRIPTION)
_PROBLEM_TYPE = "application/problem+json"
_PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")
_ALWAYS = (401, 403, 500, 503)

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
            # No schema: OpenAPI 3.1 has none for a stream of events.
            documented[status] = {"description": answer, "content": {answer: {"example": EVENTS}}}
        else:
            documented[status] = answer
    return documented


def _problem(status: int) -> dict[str, Any]:
    kinds = {kind.code: kind for kind in ERRORS.values() if kind.status == status}
    content = {
        "schema": {"$ref": "#/components/schemas/Problem"},
        "examples": {code: _problem_example(kind) for code, kind in kinds.items()},
    }
    described = " ".join(f"`{kind.code}`: {kind.title}." for kind in kinds.values())
    return {"description": described, "content": {_PROBLEM_TYPE: content}}


def _problem_example(kind: Kind) -> dict[str, Any]:
    value: dict[str, Any] = {
        "type": f"urn:paddock:error:{kind.code}",
        "title": kind.title,
        "status": kind.status,
        "detail": f"{kind.title}.",
        "code": kind.code,
        "request_id": "5d2c7f0e-8b1a-4e7c-9a43-6f1b0d9c2e88",
    }
    if kind.code == "invalid_request":
        value["errors"] = {"priority": ["must be 0 (most urgent) to 9"]}
    return {"summary": kind.title, "value": value}


@blueprint.get("/openapi.json/")
@open_to_all
def document() -> Response:
    """This API as an OpenAPI document."""
    app = current_app
    assert isinstance(app, OpenAPI)  # noqa: S101 - create_app makes one
    described = app.api_doc | {"servers": [{"url": request.script_root or "/"}]}
    return Response(app.json.dumps(described), mimetype="application/json")


class PaddockApp(OpenAPI):
    """flask-openapi's app, whose document says what its generator leaves out and nothing that isn't so."""

    def generate_spec_json(self) -> None:
        super().generate_spec_json()  # type: ignore[no-untyped-call]  # the library leaves it so
        schemas = self.spec_json["components"]["schemas"]
        schemas["Problem"]["properties"]["code"]["examples"] = sorted({kind.code for kind in ERRORS.values()})
        for (path, method), endpoint in self._endpoints().items():
            operation = self.spec_json["paths"].get(path, {}).get(method)
            if operation is not None:
                self._complete(operation, endpoint, schemas)

    def _endpoints(self) -> dict[tuple[str, str], str]:
        """By path and method, as the document writes them."""
        return {
            (_PARAMETER.sub(r"{\1}", rule.rule), method.lower()): rule.endpoint
            for rule in self.url_map.iter_rules()
            for method in rule.methods or ()
        }

    def _complete(self, operation: dict[str, Any], endpoint: str, schemas: dict[str, Any]) -> None:
        operation["operationId"] = endpoint.replace(".", "_")
        if getattr(self.view_functions[endpoint], "needs_no_key", False):
            operation["security"] = []
        answered = operation["responses"]
        # The generator claims a validation error for every operation.
        if "422" in answered and _PROBLEM_TYPE not in answered["422"]["content"]:
            del answered["422"]
        for described in (operation.get("requestBody", {}), *answered.values()):
            for content in described.get("content", {}).values():
                _add_example(content, schemas)


def _add_example(content: dict[str, Any], schemas: dict[str, Any]) -> None:
    """The example of the model, for a body that has none of its own."""
    if "example" in content or "examples" in content:
        return
    name = content["schema"].get("$ref", "").rpartition("/")[2]
    schema = schemas.get(name, content["schema"])
    example = EXAMPLES.get(name, schema.get("example"))
    if example is not None:
        content["example"] = example


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
