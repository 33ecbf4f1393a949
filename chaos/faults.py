"""Every fault by name, in the order they are tried."""

import traceback
from collections.abc import Iterator
from random import Random
from types import ModuleType

from chaos import (
    cancelling,
    child_killed,
    disk_full,
    drained,
    flower_view,
    keeper_killed,
    memory_full,
    ollama_down,
    ollama_errors,
    postgres_restarts,
    urgent_flood,
    valkey_down,
    valkey_flushed,
    valkey_frozen,
    valkey_killed,
    worker_frozen,
    worker_killed,
    worker_stopped,
)
from chaos.figure import Figure

FAULTS: dict[str, ModuleType] = {
    "worker-killed": worker_killed,
    "worker-stopped": worker_stopped,
    "worker-frozen": worker_frozen,
    "child-killed": child_killed,
    "keeper-killed": keeper_killed,
    "valkey-killed": valkey_killed,
    "valkey-flushed": valkey_flushed,
    "valkey-down": valkey_down,
    "valkey-frozen": valkey_frozen,
    "memory-full": memory_full,
    "ollama-down": ollama_down,
    "ollama-errors": ollama_errors,
    "drained": drained,
    "cancelling": cancelling,
    "disk-full": disk_full,
    "urgent-flood": urgent_flood,
    "flower-view": flower_view,
    "postgres-restarts": postgres_restarts,
}

# Most of their time something is away or a queue is worked off: another fault can be tried meanwhile.
PATIENT = {"valkey-down", "valkey-frozen", "ollama-down", "urgent-flood", "postgres-restarts"}


def run(name: str, random: Random, *, short: bool) -> Iterator[Figure]:
    """One fault's figures; one that could not be tried to its end is a figure that is not met."""
    fault = FAULTS[name]
    try:
        yield from fault.measure(random, **(fault.SHORT if short else {}))
    except Exception as error:  # whatever broke: it was not shown
        traceback.print_exc()
        yield Figure("tried to its end", type(error).__name__, "yes", False)
