"""`/api/docs`: the OpenAPI document to read and to try. Everything on the page comes from this server."""

from importlib.util import find_spec
from pathlib import Path

from flask import Response, abort, make_response, render_template, send_file
from flask_openapi import APIBlueprint

from api.auth import open_to_all
from api.schemas import Parameters

blueprint = APIBlueprint("docs_page", __name__, url_prefix="/api/docs", doc_ui=False)

# The page's own styles are written by its script as it goes; its script comes from no other place than here.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_CACHED_SECONDS = 3600


def _vendored() -> Path:
    """Where the wheel has Swagger UI; found without importing its plugin."""
    found = find_spec("flask_openapi_swagger")
    assert found is not None and found.origin is not None  # noqa: S101 - in requirements.txt
    return Path(found.origin).parent / "templates" / "swagger"


_SWAGGER = _vendored()
_ASSETS = {
    "swagger-ui.css": _SWAGGER / "css" / "swagger-ui.css",
    "swagger-ui-bundle.js": _SWAGGER / "js" / "swagger-ui-bundle.js",
    "start.js": Path(__file__).parent / "static" / "start.js",
}


class AssetPath(Parameters):
    name: str


@blueprint.get("/")
@open_to_all
def page() -> Response:
    """The page itself."""
    response = make_response(render_template("docs.html"))
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


@blueprint.get("/<name>/")
@open_to_all
def asset(path: AssetPath) -> Response:
    """A script or style sheet of the page."""
    if path.name not in _ASSETS:
        abort(404)
    return send_file(_ASSETS[path.name], max_age=_CACHED_SECONDS)
