"""Installing and removing models, as far as it takes to see the requests pass. Nothing is downloaded."""

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from aiohttp import web

from ollama_client.simulator import go_json
from ollama_client.simulator.answers import canonical
from ollama_client.simulator.errors import Refusal
from ollama_client.simulator.models import parse_model
from ollama_client.simulator.responses import respond, respond_error
from ollama_client.simulator.simulator import SIMULATOR
from ollama_client.simulator.validation import is_name, parse_body

STEP_SECONDS = 0.05
_PULLING = ("pulling manifest", "verifying sha256 digest", "writing manifest", "success")
_PUSHING = ("retrieving manifest", "pushing manifest", "success")
_CREATING = ("using existing layer", "writing manifest", "success")
BLOBS = web.AppKey("blobs", set[str])
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def refusing(handler: Handler) -> Handler:
    """The route, its refusals answered in Ollama's shape."""

    @functools.wraps(handler)
    async def answered(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except Refusal as refusal:
            return respond_error(refusal.message, refusal.status)

    return answered


@refusing
async def pull(request: web.Request) -> web.StreamResponse:
    """POST /api/pull."""
    body = parse_body(await request.read(), "PullRequest")
    model = parse_model(_valid(_name(body)))
    response = await _progress(request, body, _PULLING)
    request.app[SIMULATOR].catalogue.add(model)
    return response


@refusing
async def push(request: web.Request) -> web.StreamResponse:
    """POST /api/push."""
    body = parse_body(await request.read(), "PushRequest")
    if not _name(body):
        raise Refusal(400, "model is required")
    if request.app[SIMULATOR].catalogue.find(_name(body)) is None:
        raise Refusal(404, f"model '{_name(body)}' not found")
    return await _progress(request, body, _PUSHING)


@refusing
async def create(request: web.Request) -> web.StreamResponse:
    """POST /api/create, from another model."""
    body = parse_body(await request.read(), "CreateRequest")
    catalogue = request.app[SIMULATOR].catalogue
    name = canonical(_valid(_name(body)))
    parent = catalogue.find(body.get("from", ""))
    if parent is None:
        raise Refusal(400, "neither 'from' or 'files' was specified")
    catalogue.add(replace(parent, name=name, modified_ns=time.time_ns()))
    return await _progress(request, body, _CREATING)


@refusing
async def copy(request: web.Request) -> web.StreamResponse:
    """POST /api/copy."""
    body = parse_body(await request.read(), "CopyRequest")
    catalogue = request.app[SIMULATOR].catalogue
    for field in ("source", "destination"):
        if not is_name(name := body.get(field, "")):
            raise Refusal(400, f"{field} {go_json.dumps(name)} is invalid")
    source = catalogue.find(body["source"])
    if source is None:
        raise Refusal(404, f"model {go_json.dumps(body['source'])} not found")
    catalogue.add(replace(source, name=canonical(body["destination"]), modified_ns=time.time_ns()))
    return respond(b"")


@refusing
async def delete(request: web.Request) -> web.StreamResponse:
    """DELETE /api/delete."""
    name = _name(parse_body(await request.read(), "DeleteRequest"))
    if not is_name(name):
        raise Refusal(400, f"name {go_json.dumps(name)} is invalid")
    if request.app[SIMULATOR].catalogue.remove(name) is None:
        raise Refusal(404, f"model '{name}' not found")
    return respond(b"")


async def has_blob(request: web.Request) -> web.Response:
    """HEAD /api/blobs/DIGEST."""
    found = request.match_info["digest"] in request.app[BLOBS]
    return web.Response(status=200 if found else 404)


async def add_blob(request: web.Request) -> web.Response:
    """POST /api/blobs/DIGEST: read and forgotten."""
    async for _ in request.content.iter_chunked(65536):
        pass
    request.app[BLOBS].add(request.match_info["digest"])
    return web.Response(status=201)


def _name(body: dict[str, Any]) -> str:
    return str(body.get("model") or body.get("name") or "")


def _valid(name: str) -> str:
    if not is_name(name):
        raise Refusal(400, "invalid model name")
    return name


async def _progress(request: web.Request, body: dict[str, Any], steps: Sequence[str]) -> web.StreamResponse:
    if body.get("stream") is False:
        return respond(go_json.encode({"status": steps[-1]}))
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    for step in steps:
        await response.write(go_json.encode({"status": step}) + b"\n")
        await asyncio.sleep(STEP_SECONDS)
    await response.write_eof()
    return response
