"""The simulator's own log: what was really generated, by job."""

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any


class Served:
    """Reads it anew each time it is asked."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def entries(self, event: str, **wanted: object) -> list[dict[str, Any]]:
        """The lines of an event with these values."""
        if not self._path.exists():
            return []
        # A line that is being written at this moment has no end yet.
        lines = self._path.read_text(encoding="utf-8").split("\n")[:-1]
        entries = (json.loads(line) for line in lines)
        return [
            entry
            for entry in entries
            if entry["event"] == event and all(entry[name] == value for name, value in wanted.items())
        ]

    def starts(self) -> dict[str, list[float]]:
        """When each job's generations began, seconds since the epoch."""
        found: dict[str, list[float]] = defaultdict(list)
        for entry in self.entries("start"):
            if entry["job"]:
                found[entry["job"]].append(entry["at"])
        return found

    def done(self) -> Counter[str]:
        """How often each job was generated to its end."""
        return Counter(entry["job"] for entry in self.entries("end", outcome="done") if entry["job"])
