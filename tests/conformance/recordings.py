"""Recorded exchanges, and how two answers are compared: shape, not text."""

import hashlib
import http.client
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "wire"
_ELIDED = re.compile(r"<elided: (\d+) chars, starts 'the quick .*', sha256 (\w+)>")
_HEADERS = ("Content-Type", "Allow", "Transfer-Encoding", "Vary", "Access-Control-Allow-Origin")


@dataclass
class Answer:
    """One HTTP answer."""

    status: int
    headers: dict[str, str]
    body: str


def load(name: str) -> dict[str, Any]:
    """One recorded exchange."""
    recording: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return recording


def names() -> list[str]:
    """Every recorded exchange."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def recorded_answer(recording: dict[str, Any]) -> Answer:
    """The answer as Ollama gave it."""
    response = recording["response"]
    body = response.get("body_text")
    if body is None:
        body = "\n".join(response["lines"]) + "\n"
    headers: dict[str, str] = {}
    for name, value in response["headers"]:
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return Answer(response["status"], headers, body)


def replay(recording: dict[str, Any], port: int, extra: dict[str, str] | None = None) -> Answer:
    """The answer of the server at a port to the recorded request, with some headers more."""
    request = recording["request"]
    body = request.get("body_raw")
    if "body" in request:
        body = request["body"]
        body = body if isinstance(body, str) and not body else json.dumps(restore(body))
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(
            request["method"],
            request["path"],
            body and body.encode(),
            {**dict(request["headers"]), **(extra or {})},
        )
        response = connection.getresponse()
        try:
            received = response.read()
        except http.client.IncompleteRead as cut:
            received = cut.partial
        headers = {name: value for name in _HEADERS if (value := response.getheader(name)) is not None}
        return Answer(response.status, headers, received.decode())
    finally:
        connection.close()


def restore(value: Any) -> Any:
    """A request body with its long texts, which the recordings shorten, put back."""
    if isinstance(value, dict):
        return {key: restore(item) for key, item in value.items()}
    if isinstance(value, list):
        return [restore(item) for item in value]
    if isinstance(value, str) and (elided := _ELIDED.fullmatch(value)):
        text = ("the quick " * int(elided[1]))[: int(elided[1])]
        assert hashlib.sha256(text.encode()).hexdigest().startswith(elided[2])
        return text
    return value


def shape(value: Any) -> Any:
    """A JSON value with each scalar replaced by its type; key order kept, equal items of a list once."""
    if isinstance(value, dict):
        return [(key, shape(item)) for key, item in value.items()]
    if isinstance(value, list):
        shapes = [shape(item) for item in value]
        return ["list", *[s for n, s in enumerate(shapes) if s not in shapes[:n]]]
    return type(value).__name__


def in_any_order(shaped: Any) -> Any:
    """A shape whose keys' order does not count."""
    if isinstance(shaped, list) and shaped and isinstance(shaped[0], tuple):
        return sorted((key, in_any_order(value)) for key, value in shaped)
    return [in_any_order(item) for item in shaped] if isinstance(shaped, list) else shaped


def headers(answer: Answer) -> dict[str, str]:
    """Those of the headers that mean something, and whether the body was counted or chunked."""
    return {name: answer.headers[name] for name in _HEADERS if name in answer.headers}


def line_shapes(answer: Answer) -> list[Any]:
    """The shape of each line, a run of equal ones once; a line that is no JSON stands for itself."""
    shapes: list[Any] = []
    for line in answer.body.split("\n"):
        prefix, text = ("data: ", line[6:]) if line.startswith("data: ") else ("", line)
        try:
            found: Any = (prefix, shape(json.loads(text)))
        except ValueError:
            found = line
        shapes.append(found)
    return _without_runs(shapes)


def _without_runs(shapes: list[Any]) -> list[Any]:
    """A server-sent event is a line and an empty one: runs of pairs count once as well."""
    kept: list[Any] = []
    for found in shapes:
        if kept[-1:] == [found] or (len(kept) > 1 and found and kept[-1] == "" and kept[-2] == found):
            continue
        if found == "" and kept[-1:] == [""]:
            continue
        kept.append(found)
    return kept
