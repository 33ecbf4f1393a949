"""What is lined up in Redis: the lists in which kombu keeps a queue, one for each level."""

from collections.abc import Iterable
from typing import Any

from jobs.scheduling import LOWEST_LEVEL

QUEUE_PREFIX = "ollama."
PRIORITY_SEPARATOR = "\x06\x16"  # kombu's
LEVELS = range(LOWEST_LEVEL + 1)


def queue_name(model: str) -> str:
    """The queue of a (normalised) model."""
    return QUEUE_PREFIX + model


def list_names(queue: str) -> list[str]:
    """The lists of a queue, the most urgent level first."""
    return [f"{queue}{PRIORITY_SEPARATOR}{level}" if level else queue for level in LEVELS]


def count_lined_up(client: Any, models: Iterable[str]) -> dict[str, dict[int, int]]:
    """How many messages wait for each (normalised) model, by current level; empty levels are left out."""
    names = list(models)
    pipeline = client.pipeline(transaction=False)
    for model in names:
        for name in list_names(queue_name(model)):
            pipeline.llen(name)
    lengths = iter(pipeline.execute())
    counted = {model: {level: next(lengths) for level in LEVELS} for model in names}
    return {model: {k: n for k, n in levels.items() if n} for model, levels in counted.items()}
