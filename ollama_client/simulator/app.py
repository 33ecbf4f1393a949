"""The web application: every route, and Ollama's choice of headers."""

from collections.abc import AsyncIterator

from aiohttp import web

from ollama_client.simulator import (
    administration_routes,
    control,
    embed_routes,
    generate_routes,
    info_routes,
    openai_routes,
)
from ollama_client.simulator.browsers import admit
from ollama_client.simulator.simulator import SIMULATOR, Simulator

_LARGEST_BODY_BYTES = 256 * 1024 * 1024


def create_app(simulator: Simulator) -> web.Application:
    """Serve one simulator; it must be run with `handler_cancellation=True`, or it misses clients that go."""
    app = web.Application(middlewares=[admit], client_max_size=_LARGEST_BODY_BYTES)
    app[SIMULATOR] = simulator
    app[control.CONTROL] = control.Control(simulator)
    app.on_response_prepare.append(_drop_server_header)
    app.cleanup_ctx.append(_scheduling)
    app.router.add_get("/", info_routes.root)
    app.router.add_get("/api/version", info_routes.version)
    app.router.add_get("/api/status", info_routes.status, allow_head=False)
    app.router.add_get("/api/tags", info_routes.tags)
    app.router.add_get("/api/ps", info_routes.ps, allow_head=False)
    app.router.add_post("/api/show", info_routes.show)
    app.router.add_post("/api/generate", generate_routes.generate)
    app.router.add_post("/api/chat", generate_routes.chat)
    app.router.add_post("/api/embed", embed_routes.embed)
    app.router.add_post("/api/embeddings", embed_routes.embeddings)
    app[administration_routes.BLOBS] = set()
    app.router.add_post("/api/pull", administration_routes.pull)
    app.router.add_post("/api/push", administration_routes.push)
    app.router.add_post("/api/create", administration_routes.create)
    app.router.add_post("/api/copy", administration_routes.copy)
    app.router.add_delete("/api/delete", administration_routes.delete)
    app.router.add_head("/api/blobs/{digest}", administration_routes.has_blob)
    app.router.add_post("/api/blobs/{digest}", administration_routes.add_blob)
    app.router.add_post("/v1/chat/completions", openai_routes.chat_completions)
    app.router.add_post("/v1/completions", openai_routes.completions)
    app.router.add_post("/v1/embeddings", openai_routes.embeddings)
    app.router.add_get("/v1/models", openai_routes.models)
    app.router.add_get("/v1/models/{name:.+}", openai_routes.model)
    app.router.add_get("/simulator/state", control.state)
    app.router.add_get("/simulator/log", control.log)
    app.router.add_post("/simulator/control", control.control)
    return app


async def _drop_server_header(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.popall("Server", None)


async def _scheduling(app: web.Application) -> AsyncIterator[None]:
    simulator = app[SIMULATOR]
    simulator.scheduler.start()
    yield
    await simulator.scheduler.stop()
    simulator.log.close()
