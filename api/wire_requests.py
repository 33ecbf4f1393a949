"""Requests to Ollama's and OpenAI's routes, as far as Paddock has to read them."""

from typing import Any, Literal, cast

from flask import request

from api.auth import caller
from api.configuration import current_settings
from api.errors import InvalidFields, WrongField
from api.incoming import PaddockRequest, parse_json
from jobs.errors import InvalidRequest
from jobs.model_names import normalise_model
from jobs.requests import parse_priority
from jobs.wire import WireRequest, WireRoute

ON_DISCONNECT = ("cancel", "continue")
_TOKEN_LIMITS = ("max_tokens", "max_completion_tokens")
_GO_TYPES = {dict: "object", list: "array", str: "string", bool: "bool", int: "number", float: "number"}


def read_request(route: WireRoute, *, is_async: bool) -> WireRequest:
    """
    The request to queue.

    Raises:
        BrokenJson, WrongField, InvalidRequest, InvalidFields, RequestEntityTooLarge: it can't be.
    """
    body = read_object(route.go_type)
    is_streamed = _streams(route, body) and not is_async
    given: dict[str, Any] = {"model": _model(body, route)}
    if "X-Priority" in request.headers:
        given["priority"] = _priority(request.headers["X-Priority"])
    _refuse_endless(body, route)
    return WireRequest(
        path=route.path,
        body=body,
        is_streamed=is_streamed,
        is_live=is_streamed and on_disconnect() == "cancel",
        **given,
    )


def read_object(go_type: str) -> dict[str, Any]:
    """
    The body, an object, whatever its declared type; null is an empty one, as in Go.

    Raises:
        BrokenJson, WrongField, RequestEntityTooLarge: it is none.
    """
    data = cast(PaddockRequest, request).read_body()
    if not data:
        raise WrongField("missing request body")
    value = parse_json(data)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise WrongField(f"json: cannot unmarshal {_go_type(value)} into Go value of type {go_type}")
    return value


def on_disconnect() -> Literal["cancel", "continue"]:
    """
    What becomes of the job when its client goes away: the header's word, else the key's, else the setting's.

    Raises:
        InvalidFields: the header says something else.
    """
    given = request.headers.get("X-On-Disconnect")
    if given is not None and given not in ON_DISCONNECT:
        raise InvalidFields({"X-On-Disconnect": [f"must be one of {', '.join(ON_DISCONNECT)}"]})
    chosen = given or caller().limits.on_disconnect or current_settings().on_disconnect
    return cast(Literal["cancel", "continue"], chosen)


def _streams(route: WireRoute, body: dict[str, Any]) -> bool:
    wanted = body.get("stream")
    if route.streams is None:
        return False
    if wanted is None:
        return route.streams
    if not isinstance(wanted, bool):
        _refuse_type(wanted, route, "stream", "bool")
    return bool(wanted)


def _model(body: dict[str, Any], route: WireRoute) -> str | None:
    """The normalised name; None where none is given, and the active model is meant."""
    name = body.get("model")
    if not name and name in (None, ""):
        return None
    if not isinstance(name, str):
        _refuse_type(name, route, "model", "string")
    try:
        return normalise_model(str(name))
    except InvalidRequest:
        raise WrongField("invalid model name") from None


def _priority(given: str) -> int:
    try:
        return parse_priority(int(given) if given.isascii() and given.isdecimal() else given)
    except ValueError as error:
        raise InvalidFields({"X-Priority": [str(error)]}) from None


def _refuse_endless(body: dict[str, Any], route: WireRoute) -> None:
    """Ollama takes a limit of 0 tokens for none at all, and never ends."""
    limits = body.get("options") if route.dialect == "ollama" else body
    names = ("num_predict",) if route.dialect == "ollama" else _TOKEN_LIMITS
    for name in names:
        value = limits.get(name) if isinstance(limits, dict) else None
        if isinstance(value, int | float) and not isinstance(value, bool) and int(value) == 0:
            raise WrongField(f"{name}: 0 never ends in Ollama; leave it out or give 1 or more")


def _refuse_type(value: Any, route: WireRoute, field: str, wanted: str) -> None:
    where = f"{route.go_type.partition('.')[2]}.{field}"
    raise WrongField(
        f"json: cannot unmarshal {_go_type(value)} into Go struct field {where} of type {wanted}"
    )


def _go_type(value: Any) -> str:
    return next(name for kind, name in _GO_TYPES.items() if type(value) is kind)
