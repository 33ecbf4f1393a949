"""
`keep_alive` of a request, honoured while it holds nobody up.

A request that keeps its model loaded, sent to an Ollama in which another model waits to
be loaded, makes that one wait for the whole time (measured). So it is passed on only
while nothing else runs on this Ollama or waits in the queue, and taken back after the
answer if another model's job has come meanwhile. A request that does nothing but unload
holds nobody up: Ollama waits for those that use the model.
"""

import logging
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from sqlalchemy import select

from jobs.models import IS_PENDING, IS_RELEASED, IS_RUNNING, Job
from jobs.records import Claimed
from ollama_client.errors import OllamaError
from ollama_client.limits import Limits
from worker.child import Child

FIELD = "keep_alive"
_LIMITS = Limits(connect_seconds=1.0, first_token_seconds=5.0, between_tokens_seconds=5.0)
log = logging.getLogger(__name__)


class KeepAlive:
    """Around one request; gives the body to send."""

    def __init__(self, child: Child, claimed: Claimed, body: Mapping[str, Any]) -> None:
        self._child = child
        self._claimed = claimed
        self._given = body
        self._is_passed_on = False

    def __enter__(self) -> dict[str, Any]:
        if self._given.get(FIELD) is None:
            return dict(self._given)
        self._is_passed_on = _only_unloads(self._given) or not self._others_run_or_wait()
        if self._is_passed_on:
            return dict(self._given)
        return {name: value for name, value in self._given.items() if name != FIELD}

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._is_passed_on and self._another_model_runs():
            self._let_go()

    def _others_run_or_wait(self) -> bool:
        waiting = select(Job.id).where(IS_PENDING, IS_RELEASED).limit(1)
        with self._child.resources.database.reading() as session:
            return bool(session.execute(self._running()).first() or session.execute(waiting).first())

    def _another_model_runs(self) -> bool:
        with self._child.resources.database.reading() as session:
            found = session.execute(self._running().where(Job.model != self._claimed.model)).first()
        return found is not None

    def _running(self) -> Any:
        own = (Job.worker == self._child.worker, Job.id != self._claimed.job_id)
        return select(Job.id).where(IS_RUNNING, *own).limit(1)

    def _let_go(self) -> None:
        """The model may be unloaded as soon as nobody uses it."""
        body = {"model": self._claimed.model, FIELD: 0}
        try:
            self._child.transport.request("POST", "/api/generate", body, limits=_LIMITS)
        except OllamaError as failed:
            log.info("the model %s stays loaded: %s", self._claimed.model, failed.code)


def _only_unloads(body: Mapping[str, Any]) -> bool:
    return not body.get("prompt") and not body.get("messages") and body.get(FIELD) in (0, "0", "0s")
