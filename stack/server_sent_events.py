"""Reading `text/event-stream`: bytes in, events out, however the bytes were cut."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Event:
    """One event; `id` is what `Last-Event-ID` takes to go on behind it, "" where none was sent."""

    type: str
    data: dict[str, Any]
    id: str


def read_events(chunks: Iterable[bytes]) -> Iterator[Event]:
    """
    The events whose data is a JSON object, in order; comments and other events are passed over.

    Source:
        WHATWG HTML, 9.2.6 "Interpreting an event stream".
    """
    fields: dict[str, list[str]] = {}
    for line in _lines(chunks):
        if line:
            name, _, value = line.partition(":")
            fields.setdefault(name, []).append(value.removeprefix(" "))
            continue
        event = _event(fields)
        fields = {}
        if event is not None:
            yield event


def _event(fields: dict[str, list[str]]) -> Event | None:
    try:
        data = json.loads("\n".join(fields["data"]))
    except (KeyError, ValueError):
        return None
    if not isinstance(data, dict):
        return None
    return Event(fields.get("event", ["message"])[-1], data, fields.get("id", [""])[-1])


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Lines without their ends; a last one that was not ended is no line."""
    rest = b""
    for chunk in chunks:
        # A CR at the end may be half of a CRLF; it waits for its other half.
        *complete, rest = (rest + chunk).replace(b"\r\n", b"\n").split(b"\n")
        for line in complete:
            yield line.decode("utf-8", errors="replace")
