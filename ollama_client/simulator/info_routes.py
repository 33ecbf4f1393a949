"""The routes that only tell: /, /api/version, /api/status, /api/tags, /api/ps, /api/show."""

from aiohttp import web

from ollama_client.simulator.errors import Refusal
from ollama_client.simulator.generate_routes import find_model
from ollama_client.simulator.go_json import timestamp
from ollama_client.simulator.responses import respond, respond_error, respond_json
from ollama_client.simulator.show import describe
from ollama_client.simulator.simulator import SIMULATOR
from ollama_client.simulator.validation import parse_body

VERSION = "0.24.0"
"""The Ollama whose exchanges were recorded."""


async def root(_request: web.Request) -> web.Response:
    """GET and HEAD /."""
    return respond(b"Ollama is running", content_type="text/plain; charset=utf-8")


async def version(_request: web.Request) -> web.Response:
    """GET /api/version."""
    return respond_json({"version": VERSION})


async def status(_request: web.Request) -> web.Response:
    """GET /api/status."""
    return respond_json({"cloud": {"disabled": True, "source": "env"}})


async def tags(request: web.Request) -> web.Response:
    """GET /api/tags: the installed models; stays up while a model hangs."""
    models = request.app[SIMULATOR].catalogue.newest_first()
    return respond_json({"models": [model.tag() for model in models]})


async def ps(request: web.Request) -> web.Response:
    """GET /api/ps: the loaded models, the longest to stay first; not those that still load."""
    runners = [r for r in request.app[SIMULATOR].scheduler.runners.values() if not r.is_loading]
    runners.sort(key=lambda runner: -runner.expires_at_ns)
    return respond_json(
        {
            "models": [
                runner.model.loaded(timestamp(runner.expires_at_ns), runner.num_ctx) for runner in runners
            ]
        }
    )


async def show(request: web.Request) -> web.Response:
    """POST /api/show."""
    try:
        body = parse_body(await request.read(), "ShowRequest")
        name = body.get("model") or body.get("name")
        if not name:
            raise Refusal(400, "model is required")
        model = find_model(request.app[SIMULATOR], name)
        return respond_json(describe(model, is_verbose=body.get("verbose", False)))
    except Refusal as refusal:
        return respond_error(refusal.message, refusal.status)
