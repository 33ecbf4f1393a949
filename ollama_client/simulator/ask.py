"""One request to a model, whichever route it came by."""

import time
from dataclasses import dataclass, field
from typing import Any

from ollama_client.simulator.durations import keep_alive_seconds
from ollama_client.simulator.errors import Refusal
from ollama_client.simulator.models import Model
from ollama_client.simulator.scheduler import Wish

_RUNNER_OPTIONS = ("num_batch", "num_gpu", "main_gpu", "use_mmap", "num_thread")
_SMALLEST_CONTEXT = 4
_MOST_LOGPROBS = 20
_MOST_TOKENS = 2**31 - 1


@dataclass(slots=True)
class Ask:
    """A generate, chat or embed request, its fields checked."""

    kind: str
    """generate, chat or embed: part of what the answer is derived from."""
    path: str
    name: str
    """The model's name as it was sent: answers echo it."""
    model: Model
    prompt: Any
    also: dict[str, Any] = field(default_factory=dict)
    """Fields beside the prompt that the answer is derived from: system, suffix, context…"""
    options: dict[str, Any] = field(default_factory=dict)
    stream: bool = True
    format: Any = None
    tools: list[Any] | None = None
    thinks: bool = False
    keep_alive: Any = None
    truncates: bool = True
    shifts: bool = True
    raw: bool = False
    top_logprobs: int | None = None
    """None: no log probabilities are asked for."""
    job: str | None = None
    arrived_ns: int = field(default_factory=time.monotonic_ns)

    @property
    def num_predict(self) -> int | None:
        """Its limit of tokens, floats cut off as Ollama does."""
        value = self.options.get("num_predict")
        return None if value is None else min(int(value), _MOST_TOKENS)

    @property
    def num_ctx(self) -> int:
        """The context its runner must have."""
        wanted = self.options.get("num_ctx")
        return self.model.context_length if wanted is None else max(int(wanted), _SMALLEST_CONTEXT)

    def wish(self) -> Wish:
        """What it needs of the scheduler."""
        settings = tuple(self.options.get(name) for name in _RUNNER_OPTIONS)
        keep_alive = None if self.keep_alive is None else keep_alive_seconds(self.keep_alive)
        return Wish(self.model, self.num_ctx, settings, keep_alive)


def asked_logprobs(body: dict[str, Any]) -> int | None:
    """
    How many alternatives for each token; None where no log probabilities are asked for.

    Raises:
        Refusal: 400: more than Ollama gives.
    """
    top = body.get("top_logprobs", 0)
    if not isinstance(top, int) or not 0 <= top <= _MOST_LOGPROBS:
        raise Refusal(400, "top_logprobs must be between 0 and 20")
    return top if body.get("logprobs") else None
