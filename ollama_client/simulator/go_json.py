"""JSON as Go's encoding/json writes and reads it, its error messages included."""

import json
import re
import time
from functools import lru_cache
from typing import Any

_SPACE = " \t\r\n"
_ESCAPED = str.maketrans({
    "<": "\\u003c",
    ">": "\\u003e",
    "&": "\\u0026",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
})  # fmt: skip
_encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_WHERE = {
    "Expecting property name enclosed in double quotes": "looking for beginning of object key string",
    "Expecting ':' delimiter": "after object key",
    "Illegal trailing comma before end of object": "looking for beginning of object key string",
    "Invalid control character": "in string literal",
    "Invalid \\escape": "in string escape code",
    "Invalid \\uXXXX escape": "in \\u hexadecimal character escape",
}
# Python points at a wrong escape's beginning, and from 3.13 on at a comma too many; Go at what is wrong.
_PASSED = {
    "Illegal trailing comma": re.compile(rf",[{_SPACE}]*"),
    "Invalid \\escape": re.compile(r"\\"),
    "Invalid \\uXXXX escape": re.compile(r"\\?u[0-9A-Fa-f]*"),
}


class JsonError(ValueError):
    """The text is no JSON; the message is the one Go gives."""


def dumps(value: object) -> str:
    """One line without a line break, keys in the order given, `<`, `>` and `&` escaped."""
    return _encoder.encode(value).translate(_ESCAPED)


def encode(value: object) -> bytes:
    """`dumps`, as bytes; what UTF-8 cannot hold becomes a question mark."""
    return dumps(value).encode("utf-8", "replace")


def loads(text: str) -> Any:
    """
    The first JSON value of a text; Go's decoder looks no further.

    Raises:
        JsonError: There is none.
    """
    start = len(text) - len(text.lstrip(_SPACE))
    if start == len(text):
        raise JsonError("missing request body")
    try:
        return _decoder.raw_decode(text, start)[0]
    except json.JSONDecodeError as error:
        raise JsonError(_go_message(error, text)) from None
    except RecursionError:
        raise JsonError("exceeded max depth") from None


def _go_message(error: json.JSONDecodeError, text: str) -> str:
    position = error.pos
    for start, passed in _PASSED.items():
        if error.msg.startswith(start) and (found := passed.match(text, position)):
            position = found.end()
    if position >= len(text) or error.msg.startswith("Unterminated"):
        return "unexpected EOF"
    if error.msg == "Expecting ',' delimiter":
        where = "after object key:value pair" if _in_object(text, position) else "after array element"
    else:
        told = (where for start, where in _WHERE.items() if error.msg.startswith(start))
        where = next(told, "looking for beginning of value")
    return f"invalid character {_quote(text[position])} {where}"


def _in_object(text: str, position: int) -> bool:
    """Whether the innermost open bracket before a position is an object's; strings are skipped."""
    opened: list[str] = []
    in_string = escaped = False
    for char in text[:position]:
        if in_string:
            in_string = escaped or char != '"'
            escaped = not escaped and char == "\\"
        elif char == '"':
            in_string = True
        elif char in "{[":
            opened.append(char)
        elif char in "}]" and opened:
            opened.pop()
    return not opened or opened[-1] == "{"


def _quote(char: str) -> str:
    return {"'": "'\\''", "\n": "'\\n'", "\t": "'\\t'", "\r": "'\\r'"}.get(char, f"'{char}'")


def _refuse_constant(name: str) -> Any:
    # Python reads NaN and Infinity, which are no JSON.
    raise JsonError(f"invalid character {_quote(name.lstrip('-')[0])} looking for beginning of value")


_decoder = json.JSONDecoder(parse_constant=_refuse_constant)


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def timestamp(at_ns: int | None = None) -> str:
    """RFC 3339 in UTC with up to nine decimals, trailing zeros dropped, as Go's time marshals."""
    seconds, nanoseconds = divmod(time.time_ns() if at_ns is None else at_ns, 1_000_000_000)
    fraction = f".{nanoseconds:09d}".rstrip("0").rstrip(".")
    return f"{_second(seconds)}{fraction}Z"
