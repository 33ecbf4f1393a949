"""/api/embed and the older /api/embeddings."""

import asyncio
import time
from typing import Any

from aiohttp import web

from ollama_client.simulator.answers import count_tokens, expected_embedding
from ollama_client.simulator.ask import Ask
from ollama_client.simulator.errors import RUNNER_DIED, TOO_LONG, Refusal
from ollama_client.simulator.models import Model
from ollama_client.simulator.responses import respond_error, respond_json
from ollama_client.simulator.serving import a_slot, cut
from ollama_client.simulator.simulator import SIMULATOR, Simulator
from ollama_client.simulator.validation import check_options, parse_body

_SHORTEST_LOAD_NS = 1_000_000
# /api/embeddings answers the vector as the model made it, not shortened to length 1.
_UNNORMALISED = 8.0


class Cut(Exception):
    """The connection is to be closed instead of an answer."""


async def embed(request: web.Request) -> web.StreamResponse:
    """POST /api/embed: one vector, or one for each input."""
    simulator = request.app[SIMULATOR]
    try:
        body = parse_body(await request.read(), "EmbedRequest")
        texts = input_texts(body.get("input"))
        model = find_embedder(simulator, body.get("model", ""))
        if not texts:
            return respond_json({"model": body["model"], "embeddings": []})
        ask = embed_ask(request, body, model, body["input"])
        vectors, load_seconds = await embed_all(simulator, ask, texts, body.get("dimensions"))
        figures = {
            "total_duration": time.monotonic_ns() - ask.arrived_ns,
            "load_duration": max(int(load_seconds * 1e9), _SHORTEST_LOAD_NS),
            "prompt_eval_count": sum(count_tokens(text) for text in texts),
        }
        return respond_json({"model": body["model"], "embeddings": vectors, **figures})
    except Refusal as refusal:
        return respond_error(refusal.message, refusal.status)
    except Cut:
        return cut(request, web.StreamResponse())


async def embeddings(request: web.Request) -> web.StreamResponse:
    """POST /api/embeddings: one vector, not normalised."""
    simulator = request.app[SIMULATOR]
    try:
        body = parse_body(await request.read(), "EmbeddingRequest")
        model = find_embedder(simulator, body.get("model", ""))
        prompt = body.get("prompt", "")
        if not prompt:
            return respond_json({"embedding": []})
        vectors, _ = await embed_all(simulator, embed_ask(request, body, model, prompt), [prompt], None)
        return respond_json({"embedding": [round(value * _UNNORMALISED, 8) for value in vectors[0]]})
    except Refusal as refusal:
        return respond_error(refusal.message, refusal.status)
    except Cut:
        return cut(request, web.StreamResponse())


async def embed_all(
    simulator: Simulator, ask: Ask, texts: list[str], length: int | None
) -> tuple[list[list[float]], float]:
    """
    A vector for each text, cut to a length below the model's own, and the seconds that loading took.

    Raises:
        Refusal: A text is too long and may not be cut, or a hazard strikes.
        Cut: A hazard strikes.
    """
    if not ask.truncates and max(map(count_tokens, texts)) > ask.num_ctx:
        raise Refusal(400, TOO_LONG)
    own = ask.model.embedding_length
    length = length if length and 0 < length < own else own
    async with a_slot(simulator, ask) as served:
        failure = simulator.hazards.take_failure(ask.model.name, refuses=False)
        await simulator.hazards.wait_while_hung(ask.model.name, 0)
        await asyncio.sleep(simulator.options.prompt_seconds)
        if failure:
            raise Cut() if failure.kind == "cut" else Refusal(500, RUNNER_DIED)
        vectors = []
        for text in texts:
            vectors.append(expected_embedding(ask.model.name, text, length))
            await asyncio.sleep(0)
        served.is_over("done")
        return vectors, served.entry.load_seconds


def embed_ask(request: web.Request, body: dict[str, Any], model: Model, prompt: object) -> Ask:
    """
    Raises:
        Refusal: An option is of the wrong type.
    """
    options = body.get("options", {})
    check_options(options)
    return Ask(
        kind="embed",
        path=request.path,
        name=body["model"],
        model=model,
        prompt=prompt,
        options=options,
        keep_alive=body.get("keep_alive"),
        truncates=body.get("truncate", True),
        job=request.headers.get("X-Job-ID"),
    )


def input_texts(value: object) -> list[str]:
    """
    Raises:
        Refusal: Neither a text nor a list of them.
    """
    values = value if isinstance(value, list) else [] if value is None or value == "" else [value]
    texts = [text for text in values if isinstance(text, str)]
    if len(texts) < len(values):
        raise Refusal(400, "invalid input type")
    return texts


def find_embedder(simulator: Simulator, name: str) -> Model:
    """
    Raises:
        Refusal: No such model; embedding routes word it their own way.
    """
    if not name:
        raise Refusal(404, "model '' not found")
    model = simulator.catalogue.find(name)
    if model is None:
        raise Refusal(404, f'model "{name}" not found, try pulling it first')
    return model
