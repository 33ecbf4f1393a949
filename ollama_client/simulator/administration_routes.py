"""Installing and removing models, as far as it takes to see the requests pass. Nothing is downloaded."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from aiohttp import web

from ollama_client.simulator import go_json
from ollama_client.simulator.answers import canonical
from ollama_client.simulator.models import parse_model
from ollama_client.simulator.responses import respond, respond_error
from ollama_client.simulator.simulator import SIMULATOR

STEP_SECONDS = 0.05
_PULLING = ("pulling manifest", "verifying sha256 digest", "writing manifest", "success")
_PUSHING = ("retrieving manifest", "pushing manifest", "success")
_CREATING = ("using existing layer", "writing manifest", "success")
BLOBS = web.AppKey("blobs", set[str])


async def pull(request: web.Request) -> web.StreamResponse:
    """POST /api/pull."""
    body = await _body(request)
    response = await _progress(request, body, _PULLING)
    request.app[SIMULATOR].catalogue.add(parse_model(_name(body)))
    return response


async def push(request: web.Request) -> web.StreamResponse:
    """POST /api/push."""
    body = await _body(request)
    if request.app[SIMULATOR].catalogue.find(_name(body)) is None:
        return respond_error(f"model '{_name(body)}' not found", 404)
    return await _progress(request, body, _PUSHING)


async def create(request: web.Request) -> web.StreamResponse:
    """POST /api/create, from another model."""
    body = await _body(request)
    catalogue = request.app[SIMULATOR].catalogue
    parent = catalogue.find(str(body.get("from", "")))
    if parent is None:
        return respond_error("neither 'from' or 'files' was specified", 400)
    catalogue.add(replace(parent, name=canonical(_name(body)), modified_ns=time.time_ns()))
    return await _progress(request, body, _CREATING)


async def copy(request: web.Request) -> web.Response:
    """POST /api/copy."""
    body = await _body(request)
    catalogue = request.app[SIMULATOR].catalogue
    source = catalogue.find(str(body.get("source", "")))
    if source is None:
        return respond_error(f"model '{body.get('source', '')}' not found", 404)
    name = canonical(str(body["destination"]))
    catalogue.add(replace(source, name=name, modified_ns=time.time_ns()))
    return respond(b"")


async def delete(request: web.Request) -> web.Response:
    """DELETE /api/delete."""
    name = _name(await _body(request))
    if request.app[SIMULATOR].catalogue.remove(name) is None:
        return respond_error(f"model '{name}' not found", 404)
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


async def _body(request: web.Request) -> dict[str, Any]:
    body = go_json.loads((await request.read()).decode())
    return body if isinstance(body, dict) else {}


def _name(body: dict[str, Any]) -> str:
    return str(body.get("model") or body.get("name") or "")


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
