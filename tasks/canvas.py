"""
What Celery needs to go on after a job, kept in its row instead of its message.

In the message it would put the prompts of later chain members into Redis, and a
flush would lose the rest of a chain.
"""

import json
import uuid
from collections.abc import Mapping
from typing import Any

from kombu.utils.json import dumps

_OPTIONS = ("chain", "chord", "group_id", "group_index", "root_id", "parent_id", "headers")
_SUCCESSORS = ("link", "link_error", "chain", "chord")
_NAMESPACE = uuid.UUID("0c0d9f0e-6df0-5f0d-8a7b-1f4c1a4f6a55")


def pack(job_id: str, link: Any, link_error: Any, options: Mapping[str, Any]) -> dict[str, Any] | None:
    """
    The canvas part of `apply_async`'s arguments as plain JSON; None for a job on its own.

    Links get fixed task ids, so that sending them again after a crash makes no second job.
    """
    packed = {name: options[name] for name in _OPTIONS if options.get(name) is not None}
    for name, signatures in (("link", link), ("link_error", link_error)):
        if signatures:
            listed = list(signatures) if isinstance(signatures, list | tuple) else [signatures]
            packed[name] = [
                _with_fixed_id(signature, f"{job_id}/{name}/{index}")
                for index, signature in enumerate(listed)
            ]
    return json.loads(dumps(packed)) if packed else None


def _with_fixed_id(signature: Any, path: str) -> Any:
    fixed = dict(signature)
    options = dict(fixed.get("options") or {})
    if fixed.get("subtask_type") is None:  # a group or chain names its members itself
        options.setdefault("task_id", str(uuid.uuid5(_NAMESPACE, path)))
    return {**fixed, "options": options}


def restore(request: Any, canvas: Mapping[str, Any] | None) -> None:
    """Put it back on the running task's request, where Celery's tracer looks for it."""
    if not canvas:
        return
    request.update(
        callbacks=canvas.get("link"),
        errbacks=canvas.get("link_error"),
        chain=canvas.get("chain"),
        chord=canvas.get("chord"),
        group=canvas.get("group_id"),
        group_index=canvas.get("group_index"),
        root_id=canvas.get("root_id") or request.root_id,
        parent_id=canvas.get("parent_id"),
    )


def has_successors(canvas: Mapping[str, Any] | None) -> bool:
    """Whether somebody is to be told when the job has ended, well or not."""
    return any(bool(canvas.get(name)) for name in _SUCCESSORS) if canvas else False
