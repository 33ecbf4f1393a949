"""Messages in a queue's lists, as publishing leaves them there."""

import json
from datetime import datetime
from typing import Any

from jobs.instants import isoformat
from tasks.queue_lists import list_names


def line_up(
    client: Any, model: str, level: int, job_id: str, due_at: datetime, *, submitted: int | None = None
) -> None:
    """Put a message at the back of a list."""
    headers = {
        "id": job_id,
        "due_at": isoformat(due_at),
        "level": level,
        "submitted_level": level if submitted is None else submitted,
    }
    client.lpush(list_names(f"ollama.{model}")[level], json.dumps({"body": "", "headers": headers}))


def lined_up(client: Any, model: str) -> dict[int, list[str]]:
    """The ids in each level's list, in the order in which they are served; empty ones are left out."""
    found = {}
    for level, name in enumerate(list_names(f"ollama.{model}")):
        messages = [json.loads(text) for text in client.lrange(name, 0, -1)]
        found[level] = [message["headers"]["id"] for message in reversed(messages)]
    return {level: ids for level, ids in found.items() if ids}
