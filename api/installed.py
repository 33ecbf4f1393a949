"""What all workers' Ollamas have, as Ollama's own clients are told."""

import redis

from api.auth import caller
from api.late import get_resources
from jobs.errors import InvalidRequest
from jobs.inventories import Entry, Inventory, merged_loaded, merged_tags, read_inventories
from jobs.model_names import normalise_model


def listed_models() -> list[Entry]:
    """The entries of /api/tags of all live workers, as far as the caller may use the models."""
    return [entry for entry in merged_tags(_inventories()) if _is_allowed(entry)]


def loaded_models() -> list[Entry]:
    """The entries of /api/ps of all live workers, as far as the caller may use the models."""
    return [entry for entry in merged_loaded(_inventories()) if _is_allowed(entry)]


def is_named(entry: Entry, wanted: str) -> bool:
    """Whether this is the entry of a (normalised) model."""
    try:
        return normalise_model(str(entry.get("name"))) == wanted
    except InvalidRequest:
        return False


def _inventories() -> list[Inventory]:
    resources = get_resources()
    names = [worker.name for worker in resources.catalog.workers()]
    try:
        return read_inventories(resources.redis, names)
    except redis.RedisError:
        return []


def _is_allowed(entry: Entry) -> bool:
    allowed = caller().limits.allowed_models
    return allowed is None or any(is_named(entry, name) for name in allowed)
