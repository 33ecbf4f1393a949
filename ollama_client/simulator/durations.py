"""`keep_alive` as Ollama reads it: a number of seconds, or a Go duration such as "1h30m"."""

import re

FOREVER = (2**63 - 1) / 1e9
"""Go's longest duration in seconds: what a negative keep_alive stands for."""

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+\.?\d*|\.\d+)([^\d.]*)")


def keep_alive_seconds(value: object) -> float:
    """
    Seconds that a model stays loaded after its last request; FOREVER for a negative value.

    Raises:
        ValueError: Neither number nor duration. The message is Ollama's own.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    elif isinstance(value, str):
        seconds = parse_duration(value)
    else:
        raise ValueError(f"Unsupported type: '{_go_type(value)}'")
    return FOREVER if seconds < 0 else min(seconds, FOREVER)


def parse_duration(text: str) -> float:
    """
    A Go duration in seconds.

    Raises:
        ValueError: With the message of Go's time.ParseDuration.
    """
    rest = text[1:] if text[:1] in ("-", "+") else text
    if rest == "0":
        return 0.0
    total, position = 0.0, 0
    while position < len(rest):
        part = _PART.match(rest, position)
        if part is None:
            break
        number, unit = part.groups()
        if not unit:
            raise ValueError(f'time: missing unit in duration "{text}"')
        if unit not in _UNITS:
            raise ValueError(f'time: unknown unit "{unit}" in duration "{text}"')
        total += float(number) * _UNITS[unit]
        position = part.end()
    if not rest or position < len(rest):
        raise ValueError(f'time: invalid duration "{text}"')
    return -total if text[0] == "-" else total


def _go_type(value: object) -> str:
    if isinstance(value, bool):
        return "bool"
    return "[]interface {}" if isinstance(value, list) else "map[string]interface {}"
