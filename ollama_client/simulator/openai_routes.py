"""/v1/chat/completions, /v1/completions, /v1/embeddings and /v1/models, over the same models and slots."""

import array
import base64
from itertools import count
from typing import Any

from aiohttp import web

from ollama_client.simulator import go_json
from ollama_client.simulator.answers import count_tokens
from ollama_client.simulator.ask import asked_logprobs
from ollama_client.simulator.embed_routes import Cut, embed_all, embed_ask, find_embedder, input_texts
from ollama_client.simulator.errors import Refusal
from ollama_client.simulator.generate_routes import find_model, make_ask
from ollama_client.simulator.models import Model
from ollama_client.simulator.openai_replies import JSON, OpenAIChatReply, OpenAICompletionReply, error_body
from ollama_client.simulator.openai_requests import as_chat, as_generate, asked_dimensions, wants_usage
from ollama_client.simulator.responses import respond
from ollama_client.simulator.serving import answer, cut
from ollama_client.simulator.simulator import SIMULATOR
from ollama_client.simulator.validation import json_type

_numbers = count(100)


async def chat_completions(request: web.Request) -> web.StreamResponse:
    """POST /v1/chat/completions."""
    simulator = request.app[SIMULATOR]
    try:
        sent = await _body(request, "ChatCompletionRequest")
        body = as_chat(sent)
        ask = make_ask(request, body, find_model(simulator, body["model"]), "chat", body["messages"])
        ask.top_logprobs = asked_logprobs(body)
        reply = OpenAIChatReply(next(_numbers), has_usage=wants_usage(sent))
        return await answer(simulator, request, ask, reply)
    except Refusal as refusal:
        return _refuse(refusal)


async def completions(request: web.Request) -> web.StreamResponse:
    """POST /v1/completions."""
    simulator = request.app[SIMULATOR]
    try:
        sent = await _body(request, "CompletionRequest")
        body = as_generate(sent)
        ask = make_ask(request, body, find_model(simulator, body["model"]), "generate", body["prompt"])
        reply = OpenAICompletionReply(next(_numbers), has_usage=wants_usage(sent))
        return await answer(simulator, request, ask, reply)
    except Refusal as refusal:
        return _refuse(refusal)


async def embeddings(request: web.Request) -> web.StreamResponse:
    """POST /v1/embeddings: as numbers, or as base64 of 32-bit floats."""
    simulator = request.app[SIMULATOR]
    try:
        body = await _body(request, "EmbedRequest")
        texts = input_texts(body.get("input"))
        if not texts:
            raise Refusal(400, "invalid input", from_runner=True)
        model = find_embedder(simulator, str(body.get("model") or ""))
        ask = embed_ask(request, {"model": body["model"]}, model, body["input"])
        vectors, _ = await embed_all(simulator, ask, texts, asked_dimensions(body))
        is_base64 = body.get("encoding_format") == "base64"
        data = [
            {"object": "embedding", "embedding": _base64(vector) if is_base64 else vector, "index": index}
            for index, vector in enumerate(vectors)
        ]
        tokens = sum(map(count_tokens, texts))
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return _respond({"object": "list", "data": data, "model": body["model"], "usage": usage})
    except Refusal as refusal:
        return _refuse(refusal)
    except Cut:
        return cut(request, web.StreamResponse())


async def models(request: web.Request) -> web.Response:
    """GET /v1/models."""
    found = request.app[SIMULATOR].catalogue.newest_first()
    return _respond({"object": "list", "data": [_model(model, model.name) for model in found]})


async def model(request: web.Request) -> web.Response:
    """GET /v1/models/NAME: the name comes back as it was asked for."""
    name = request.match_info["name"]
    try:
        return _respond(_model(find_model(request.app[SIMULATOR], name), name))
    except Refusal as refusal:
        return _refuse(refusal)


async def _body(request: web.Request, of_type: str) -> dict[str, Any]:
    try:
        body = go_json.loads((await request.read()).decode("utf-8", "replace"))
    except go_json.JsonError as error:
        raise Refusal(400, str(error), from_runner=True) from None
    if not isinstance(body, dict):
        kind = json_type(body)
        message = f"json: cannot unmarshal {kind} into Go value of type openai.{of_type}"
        raise Refusal(400, message, from_runner=True)
    return body


def _refuse(refusal: Refusal) -> web.Response:
    body = error_body(refusal.message, refusal.status)
    if refusal.from_runner:
        # What can't be read is refused before Ollama's OpenAI layer writes: no line break, and a charset.
        return respond(body.rstrip(), refusal.status)
    return respond(body, refusal.status, JSON)


def _respond(value: object) -> web.Response:
    return respond(go_json.encode(value) + b"\n", content_type=JSON)


def _model(found: Model, name: str) -> dict[str, Any]:
    created = found.modified_ns // 1_000_000_000
    return {"id": name, "object": "model", "created": created, "owned_by": "library"}


def _base64(vector: list[float]) -> str:
    return base64.b64encode(array.array("f", vector).tobytes()).decode()
