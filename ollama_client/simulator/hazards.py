"""What may go wrong, switched on by the control route: hanging, and the next requests' failures."""

import asyncio
from dataclasses import dataclass
from typing import Any

from ollama_client.simulator.answers import canonical

KINDS = ("http_500", "stream_error", "cut", "abort_without_done", "queue_full")
"""
http_500            500 with an error, before the first token
stream_error        `{"error": …}` as the last line; 500 if nothing was sent yet
cut                 the connection is closed without the terminating chunk, or without any answer
abort_without_done  200, properly ended, without `done: true`
queue_full          503, before the request is queued
"""
_AFTER_TOKENS = 3


@dataclass(slots=True)
class Failure:
    """The next `count` requests, of one model or any, fail."""

    kind: str
    count: int = 1
    after_tokens: int = _AFTER_TOKENS
    model: str | None = None

    @classmethod
    def parse(cls, value: Any) -> "Failure":
        """
        Raises:
            ValueError: An unknown kind or key, or a count below 1.
        """
        names = {"kind", "count", "after_tokens", "model"}
        if not isinstance(value, dict) or set(value) - names or value.get("kind") not in KINDS:
            raise ValueError(f"fail_next takes kind ({' | '.join(KINDS)}), count, after_tokens, model")
        failure = cls(**value)
        if failure.model is not None:
            failure.model = canonical(failure.model)
        if failure.count < 1 or failure.after_tokens < 0:
            raise ValueError("fail_next: count is 1 or more, after_tokens 0 or more")
        return failure


class Hazards:
    """The switches, and which request they strike."""

    def __init__(self) -> None:
        self.failures: list[Failure] = []
        self.hanging: str | bool = False
        """True for every model, or one model's full name."""
        self.hang_after_tokens = 0
        self._moved_on = asyncio.Event()

    def hang(self, which: str | bool, after_tokens: int = 0) -> None:
        """Let every model, or one, make no token beyond `after_tokens` until told otherwise."""
        self.hanging = canonical(which) if isinstance(which, str) else which
        self.hang_after_tokens = after_tokens
        self._moved_on.set()
        self._moved_on = asyncio.Event()

    def hangs(self, model: str) -> bool:
        """Whether a model hangs."""
        return self.hanging is True or self.hanging == model

    async def wait_while_hung(self, model: str, tokens: int) -> None:
        """Return when the model may make its next token."""
        while self.hangs(model) and tokens >= self.hang_after_tokens:
            await self._moved_on.wait()

    def take_failure(self, model: str, *, refuses: bool) -> Failure | None:
        """
        The failure that strikes this request, counted off.

        Args:
            model: The model's full name.
            refuses: Asked before the request is queued: "queue_full"; otherwise the other kinds.
        """
        for failure in self.failures:
            if (failure.kind == "queue_full") is refuses and failure.model in (None, model):
                failure.count -= 1
                if failure.count == 0:
                    self.failures.remove(failure)
                return failure
        return None
