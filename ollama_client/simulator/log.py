"""
The log of served requests: one JSON object a line, when a generation starts and when it ends.

    event           start | end
    at              seconds since the epoch
    id              the request's number within this process
    path, model     as the request has them, the model in full ("tiny-a:latest")
    prompt_sha256   hash of the prompt, the messages or the input; never the text
    outcome         null at the start; done | client_gone | error
    tokens          generated so far
    queued_seconds  waited for room, for another's load or for a slot
    load_seconds    waited for this request's own load
    slot            which of the runner's slots; null for a request that never got one
    job             the request's X-Job-ID, or null

A request that never got a slot (refused, or its client went) has an end and no start.
"""

import json
import time
from collections import deque
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

KEPT_IN_MEMORY = 200_000


@dataclass(slots=True)
class Entry:
    """One request on its way through the simulator."""

    path: str
    model: str
    prompt_sha256: str
    job: str | None
    id: int = field(default_factory=count(1).__next__)
    tokens: int = 0
    queued_seconds: float = 0.0
    load_seconds: float = 0.0
    slot: int | None = None


class ServedLog:
    """Appends to a file, flushed line by line, and keeps the latest lines in memory."""

    def __init__(self, path: Path | None = None) -> None:
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", encoding="utf-8", buffering=1) if path else None
        self._lines: deque[str] = deque(maxlen=KEPT_IN_MEMORY)

    def start(self, entry: Entry) -> None:
        """A request got its slot: its model works on it from now on."""
        self._write("start", entry, None)

    def end(self, entry: Entry, outcome: str) -> None:
        """A request is over: "done", "client_gone" or "error"."""
        self._write("end", entry, outcome)

    def text(self) -> str:
        """The lines kept in memory."""
        return "".join(self._lines)

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()

    def _write(self, event: str, entry: Entry, outcome: str | None) -> None:
        record = {
            "event": event,
            "at": time.time(),
            "id": entry.id,
            "path": entry.path,
            "model": entry.model,
            "prompt_sha256": entry.prompt_sha256,
            "outcome": outcome,
            "tokens": entry.tokens,
            "queued_seconds": round(entry.queued_seconds, 6),
            "load_seconds": round(entry.load_seconds, 6),
            "slot": entry.slot,
            "job": entry.job,
        }
        line = json.dumps(record) + "\n"
        self._lines.append(line)
        if self._file:
            self._file.write(line)
