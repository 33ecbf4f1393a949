"""
Requests' fields checked as Go's JSON decoder and Ollama's handlers check them.

Fields are checked in the order of the body: the first wrong one names the error.
"""

import base64
import re
from typing import Any

from ollama_client.simulator import go_json
from ollama_client.simulator.durations import keep_alive_seconds
from ollama_client.simulator.errors import Refusal

_COMMON = {
    "model": "string",
    "stream": "bool",
    "format": "any",
    "keep_alive": "duration",
    "options": "map[string]interface {}",
    "think": "think",
    "truncate": "bool",
    "shift": "bool",
    "logprobs": "bool",
    "top_logprobs": "int",
}
_GENERATE = {
    **_COMMON,
    "prompt": "string",
    "suffix": "string",
    "system": "string",
    "template": "string",
    "context": "[]int",
    "raw": "bool",
    "images": "[]api.ImageData",
}
_CHAT = {**_COMMON, "messages": "[]api.Message", "tools": "api.Tools"}
_EMBED = {
    "model": "string",
    "input": "any",
    "keep_alive": "duration",
    "truncate": "bool",
    "dimensions": "int",
    "options": "map[string]interface {}",
}
_ADMINISTRATION = {"model": "string", "name": "string", "stream": "bool"}
FIELDS = {
    "GenerateRequest": _GENERATE,
    "ChatRequest": _CHAT,
    "EmbedRequest": _EMBED,
    "EmbeddingRequest": {**_EMBED, "prompt": "string"},
    "ShowRequest": {"model": "string", "name": "string", "verbose": "bool", "system": "string"},
    "PullRequest": _ADMINISTRATION,
    "PushRequest": _ADMINISTRATION,
    "CreateRequest": {**_ADMINISTRATION, "from": "string"},
    "CopyRequest": {"source": "string", "destination": "string"},
    "DeleteRequest": {"model": "string", "name": "string"},
}
_MESSAGE = {"role": "string", "content": "string", "thinking": "string", "images": "[]api.ImageData"}

_OPTIONS = {
    **dict.fromkeys(
        ("num_predict", "num_ctx", "num_keep", "seed", "top_k", "repeat_last_n", "num_batch", "num_gpu",
         "main_gpu", "num_thread"), "integer"),
    **dict.fromkeys(
        ("temperature", "top_p", "min_p", "typical_p", "repeat_penalty", "presence_penalty",
         "frequency_penalty"), "float32"),
    "stop": "array",
    "use_mmap": "boolean",
}  # fmt: skip
_THINK_LEVELS = ("high", "medium", "low")
_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/=\r\n]")
_NAME = re.compile(
    r"(?:[\w.-]+(?::\d+)?/)?(?:[\w.-]+/)?[A-Za-z0-9_][\w.-]*(?::[A-Za-z0-9_][\w.-]*)?", re.ASCII
)


def parse_body(body: bytes, request: str) -> dict[str, Any]:
    """
    A request's fields, each of its right type; unknown ones and nulls are dropped.

    Args:
        body: The bytes as they came.
        request: The Go type: a key of FIELDS.

    Raises:
        Refusal: 400, with Go's message.
    """
    try:
        value = go_json.loads(body.decode("utf-8", "replace"))
    except go_json.JsonError as error:
        raise Refusal(400, str(error)) from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Refusal(400, f"json: cannot unmarshal {json_type(value)} into Go value of type api.{request}")
    return _checked(value, FIELDS[request], request)


def check_options(options: dict[str, Any]) -> None:
    """
    Raises:
        Refusal: 500: an option has another type than it must have. Unknown options pass.
    """
    for name, value in options.items():
        wanted = _OPTIONS.get(name)
        if wanted and value is not None and not _fits_option(value, wanted):
            raise Refusal(500, f'option "{name}" must be of type {wanted}')


def check_format(value: object) -> None:
    """
    Raises:
        Refusal: 500: neither "json" nor an object.
    """
    if value in (None, "", "json") or isinstance(value, dict):
        return
    text = go_json.dumps(value).replace("\\", "\\\\").replace('"', '\\"')
    message = f'invalid format: "{text}"; expected "json" or a valid JSON Schema object'
    raise Refusal(500, message, from_runner=True)


def is_name(model: str) -> bool:
    """Whether a text can be a model's name."""
    return bool(_NAME.fullmatch(model))


def _checked(value: dict[str, Any], fields: dict[str, str], path: str) -> dict[str, Any]:
    checked = {}
    for key, item in value.items():
        # Go matches field names without regard to case.
        name = key if key in fields else key.lower()
        wanted = fields.get(name)
        if wanted is not None and item is not None:
            _check_field(item, wanted, f"{path}.{name}")
            checked[name] = item
    return checked


def _check_field(value: Any, wanted: str, path: str) -> None:
    if wanted == "any":
        return
    if wanted == "duration":
        try:
            keep_alive_seconds(value)
        except ValueError as error:
            raise Refusal(400, str(error)) from None
    elif wanted == "think":
        if not isinstance(value, bool) and value not in _THINK_LEVELS:
            raise Refusal(400, 'invalid think value: must be "high", "medium", "low", true, or false')
    elif not _fits(value, wanted):
        kind = json_type(value)
        raise Refusal(400, f"json: cannot unmarshal {kind} into Go struct field {path} of type {wanted}")
    elif wanted == "[]api.ImageData":
        for image in value:
            _check_image(image)
    elif wanted == "[]api.Message":
        for message in value:
            if not isinstance(message, dict):
                kind = json_type(message)
                raise Refusal(
                    400, f"json: cannot unmarshal {kind} into Go struct field {path} of type api.Message"
                )
            _checked(message, _MESSAGE, path)


def _check_image(image: object) -> None:
    if not isinstance(image, str):
        kind = json_type(image)
        raise Refusal(400, f"json: cannot unmarshal {kind} into Go value of type api.ImageData")
    if wrong := _NOT_BASE64.search(image):
        raise Refusal(400, f"illegal base64 data at input byte {wrong.start()}")
    try:
        base64.b64decode(image)
    except ValueError:
        raise Refusal(400, f"illegal base64 data at input byte {len(image)}") from None


def _fits(value: object, wanted: str) -> bool:
    if wanted == "string":
        return isinstance(value, str)
    if wanted == "bool":
        return isinstance(value, bool)
    if wanted == "int":
        return isinstance(value, int) and not isinstance(value, bool)
    if wanted.startswith("map"):
        return isinstance(value, dict)
    return isinstance(value, list)


def _fits_option(value: object, wanted: str) -> bool:
    if wanted == "array":
        return isinstance(value, list)
    if wanted == "boolean":
        return isinstance(value, bool)
    return isinstance(value, int | float) and not isinstance(value, bool)


def json_type(value: object) -> str:
    """What Go calls the type of a JSON value."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"
