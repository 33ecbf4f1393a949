"""
The worker beside one Ollama: `python -m worker` with our options, or `celery -A worker worker`.

Importing this package alone is cheap: the keeper, which is a part of it, runs no tasks.
"""

from typing import Any

__all__ = ["app"]


def __getattr__(name: str) -> Any:
    """`worker.app`, where Celery looks for it: from now on this process is a worker's."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from worker.celery_app import app

    return app
