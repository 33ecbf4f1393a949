"""/api/generate and /api/chat: which requests are refused, and what the others ask for."""

from typing import Any

from aiohttp import web

from ollama_client.simulator.ask import Ask, asked_logprobs
from ollama_client.simulator.durations import keep_alive_seconds
from ollama_client.simulator.errors import Refusal
from ollama_client.simulator.go_json import timestamp
from ollama_client.simulator.models import Model
from ollama_client.simulator.replies import ChatReply, GenerateReply
from ollama_client.simulator.responses import respond_error, respond_json
from ollama_client.simulator.serving import answer
from ollama_client.simulator.simulator import SIMULATOR, Simulator
from ollama_client.simulator.validation import check_options, is_name, parse_body

_ALSO = ("system", "suffix", "template", "context", "images")
_generate_reply = GenerateReply()
_chat_reply = ChatReply()


async def generate(request: web.Request) -> web.StreamResponse:
    """POST /api/generate."""
    simulator = request.app[SIMULATOR]
    try:
        body = parse_body(await request.read(), "GenerateRequest")
        model = find_model(simulator, body.get("model", ""))
        logprobs = asked_logprobs(body)
        prompt = body.get("prompt", "")
        if body.get("raw") and any(body.get(field) for field in ("template", "system", "context")):
            raise Refusal(400, "raw mode does not support template, system, or context")
        ask = make_ask(request, body, model, "generate", prompt)
        ask.also = {field: body[field] for field in _ALSO if body.get(field)}
        ask.raw = bool(body.get("raw"))
        ask.top_logprobs = logprobs
        if body.get("suffix") and not model.can("insert"):
            raise Refusal(400, f"{model.full_name} does not support insert")
        check_template(body.get("template", ""))
        if not prompt:
            return await _load_only(simulator, ask, {"response": ""})
        return await answer(simulator, request, ask, _generate_reply)
    except Refusal as refusal:
        return respond_error(refusal.message, refusal.status)


async def chat(request: web.Request) -> web.StreamResponse:
    """POST /api/chat."""
    simulator = request.app[SIMULATOR]
    try:
        body = parse_body(await request.read(), "ChatRequest")
        if not body.get("model"):
            raise Refusal(400, "model is required")
        model = find_model(simulator, body["model"])
        ask = make_ask(request, body, model, "chat", body.get("messages") or [])
        ask.top_logprobs = asked_logprobs(body)
        if not ask.prompt:
            return await _load_only(simulator, ask, {"message": {"role": "assistant", "content": ""}})
        return await answer(simulator, request, ask, _chat_reply)
    except Refusal as refusal:
        return respond_error(refusal.message, refusal.status)


def find_model(simulator: Simulator, name: str) -> Model:
    """
    Raises:
        Refusal: The name is none, is a cloud model's, or is not installed.
    """
    if name and not is_name(name):
        raise Refusal(400, "invalid model name")
    if name.endswith(("-cloud", ":cloud")):
        raise Refusal(403, "ollama cloud is disabled: remote model is unavailable")
    model = simulator.catalogue.find(name) if name else None
    if model is None:
        raise Refusal(404, f"model '{name}' not found")
    return model


def make_ask(request: web.Request, body: dict[str, Any], model: Model, kind: str, prompt: object) -> Ask:
    """
    A request's fields, where the model can do what it asks for.

    Raises:
        Refusal: It cannot, or an option is of the wrong type.
    """
    thinks = body.get("think", model.can("thinking"))
    if thinks and not model.can("thinking"):
        raise Refusal(400, f'"{body["model"]}" does not support thinking')
    if not model.can("completion"):
        raise Refusal(400, f'"{body["model"]}" does not support {kind}')
    if body.get("tools") and not model.can("tools"):
        raise Refusal(400, f"{model.full_name} does not support tools")
    options = body.get("options", {})
    check_options(options)
    return Ask(
        kind=kind,
        path=request.path,
        name=body["model"],
        model=model,
        prompt=prompt,
        options=options,
        stream=body.get("stream", True),
        format=body.get("format"),
        tools=body.get("tools"),
        thinks=bool(thinks),
        keep_alive=body.get("keep_alive"),
        truncates=body.get("truncate", True),
        shifts=body.get("shift", True),
        job=request.headers.get("X-Job-ID"),
    )


def check_template(template: str) -> None:
    """
    Raises:
        Refusal: 500: an action of the template is not closed.
    """
    if template.count("{{") > template.count("}}"):
        raise Refusal(500, "template: :1: unclosed action")


async def _load_only(simulator: Simulator, ask: Ask, empty: dict[str, Any]) -> web.Response:
    """No prompt: load the model, or unload it with `keep_alive: 0`; never a stream."""
    unloads = ask.keep_alive is not None and keep_alive_seconds(ask.keep_alive) == 0
    if unloads:
        simulator.scheduler.unload(ask.model)
    else:
        async with simulator.scheduler.runner(ask.wish()):
            pass
    reason = "unload" if unloads else "load"
    body = {"model": ask.name, "created_at": timestamp(), **empty, "done": True, "done_reason": reason}
    return respond_json(body)
