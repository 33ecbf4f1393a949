"""What comes in: its id, and a body that is JSON and nothing odd."""

import hashlib
import json
import math
import re
import uuid
from typing import Any, NoReturn

from flask import Flask, Request, Response, g, request
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge, UnsupportedMediaType

from api.configuration import current_settings
from api.errors import BrokenJson, InvalidFields

MAX_DEPTH = 100  # far deeper than any JSON schema; what lies behind (pydantic, json) stops at some 250
_PIECE_BYTES = 65536
_REQUEST_ID = re.compile(r"[!-~](?:[ -~]{0,126}[!-~])?")


class PaddockRequest(Request):
    """
    Flask's request, whose JSON must be JSON: no silent None, no NaN, no bottomless nesting.

    Attributes:
        body_digest: Of the body as it was read, for an Idempotency-Key.
    """

    body_digest = ""

    def get_json(self, *_: Any, **__: Any) -> Any:
        """
        The body, an object.

        Raises:
            UnsupportedMediaType: declared as something else. BrokenJson: not JSON.
            RequestEntityTooLarge: above the limit. InvalidFields: not an object.
        """
        if self.mimetype and not (self.mimetype == "application/json" or self.mimetype.endswith("+json")):
            raise UnsupportedMediaType(
                f"Expected Content-Type: application/json, not {self.mimetype[:100]}. "
                "With curl: -H 'Content-Type: application/json'."
            )
        value = parse_json(self.read_body())
        if not isinstance(value, dict):
            raise InvalidFields({"body": ["expected a JSON object"]})
        return value

    def read_body(self) -> bytes:
        """
        The body as it came.

        Raises:
            RequestEntityTooLarge: above the limit.
        """
        limit = current_settings().max_body_bytes
        too_large = RequestEntityTooLarge(f"A body may have {limit} bytes at most.")
        if (self.content_length or 0) > limit:
            self._discard_body(2 * limit)
            raise too_large
        is_unread = "stream" not in self.__dict__  # werkzeug keeps it there
        data = self._whole_body() if self.content_length and is_unread else self.get_data(cache=False)
        if "Idempotency-Key" in self.headers:
            self.body_digest = hashlib.sha256(data).hexdigest()
        # Without a Content-Length werkzeug reads as far as the limit and says nothing.
        if self.content_length is None and len(data) >= limit:
            self._discard_body(limit)
            raise too_large
        return data

    def _whole_body(self) -> bytes:
        """A body whose length is known and not too large; werkzeug would read it piece by piece."""
        data: bytes = self.environ["wsgi.input"].read(self.content_length)
        if len(data) != self.content_length:
            raise ClientDisconnected
        return data

    def _discard_body(self, at_most_bytes: int) -> None:
        """A connection that is closed with something unread is reset, and its client loses the answer."""
        source = self.environ["wsgi.input"]
        while at_most_bytes > 0 and (piece := source.read(_PIECE_BYTES)):
            at_most_bytes -= len(piece)


def parse_json(data: bytes) -> Any:
    """
    Strict JSON.

    Raises:
        BrokenJson: says where, and quotes nothing.
    """
    try:
        value = json.loads(data, parse_constant=_refuse_constant, parse_float=_finite)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        raise BrokenJson(f"The body is not valid JSON: {error.msg} at {where}.") from None
    except RecursionError:
        raise BrokenJson(f"The body is nested deeper than {MAX_DEPTH} levels.") from None
    except UnicodeDecodeError:
        raise BrokenJson("The body is not valid UTF-8.") from None
    except ValueError as error:
        raise BrokenJson(f"The body is not valid JSON: {error}.") from None
    if data.count(b"{") + data.count(b"[") > MAX_DEPTH:
        _check_depth(value)
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("a number is too large")
    return number


def _check_depth(value: Any) -> None:
    containers = [value]
    for _ in range(MAX_DEPTH):
        containers = [inner for outer in containers for inner in _children(outer)]
        if not containers:
            return
    raise BrokenJson(f"The body is nested deeper than {MAX_DEPTH} levels.")


def _children(value: Any) -> list[Any]:
    """The objects and arrays directly inside."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [inner for inner in inside if isinstance(inner, dict | list)]


def _name_request() -> None:
    """The caller's own X-Request-ID if it is a plain one, else a new one."""
    given = request.headers.get("X-Request-ID", "")
    g.request_id = given if _REQUEST_ID.fullmatch(given) else str(uuid.uuid4())


def _finish_headers(response: Response) -> Response:
    headers = response.headers
    headers["X-Request-ID"] = g.request_id
    headers.add("X-Content-Type-Options", "nosniff")
    if "Cache-Control" not in headers:
        headers.add("Cache-Control", "no-store")
    return response


def init_incoming(app: Flask, max_body_bytes: int) -> None:
    app.request_class = PaddockRequest
    app.config["MAX_CONTENT_LENGTH"] = max_body_bytes
    app.before_request(_name_request)
    app.after_request(_finish_headers)
