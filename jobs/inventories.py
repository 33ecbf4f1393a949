"""
What each worker's Ollama lists, in Ollama's own words: for its clients, who ask for all of them at once.

    paddock:inventories   hash; a worker's name → {"tags": […], "loaded": […]}, JSON. Written by its keeper
                          when it changes, and now and then

Apart from the workers' reports, which everybody reads every second.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from jobs.errors import InvalidRequest
from jobs.model_names import normalise_model

INVENTORIES_KEY = "paddock:inventories"
Entry = dict[str, Any]


@dataclass(frozen=True)
class Inventory:
    """The entries of /api/tags and of /api/ps."""

    tags: list[Entry] = field(default_factory=list)
    loaded: list[Entry] = field(default_factory=list)


def publish_inventory(client: Any, worker: str, inventory: Inventory) -> None:
    """Let everybody know."""
    client.hset(INVENTORIES_KEY, worker, json.dumps(asdict(inventory)))


def withdraw_inventory(client: Any, worker: str) -> None:
    """The worker is gone."""
    client.hdel(INVENTORIES_KEY, worker)


def read_inventories(client: Any, workers: list[str]) -> list[Inventory]:
    """Those of the workers that have told."""
    texts = client.hmget(INVENTORIES_KEY, workers) if workers else []
    return [Inventory(**json.loads(text)) for text in texts if text]


def merged_tags(inventories: Iterable[Inventory]) -> list[Entry]:
    """Every model once, the last modified first; where several have it, the last modified one."""
    entries = [entry for inventory in inventories for entry in inventory.tags]
    return _once(sorted(entries, key=lambda entry: str(entry.get("modified_at", "")), reverse=True))


def merged_loaded(inventories: Iterable[Inventory]) -> list[Entry]:
    """Every loaded model once, the longest to stay first."""
    entries = [entry for inventory in inventories for entry in inventory.loaded]
    return _once(sorted(entries, key=lambda entry: str(entry.get("expires_at", "")), reverse=True))


def _once(entries: list[Entry]) -> list[Entry]:
    found: dict[str, Entry] = {}
    for entry in entries:
        found.setdefault(_name(entry), entry)
    return list(found.values())


def _name(entry: Entry) -> str:
    name = str(entry.get("name", ""))
    try:
        return normalise_model(name)
    except InvalidRequest:
        return name
