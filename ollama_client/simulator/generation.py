"""Making an answer's tokens at the simulated speed, with the hazards that strike it."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from itertools import islice

from ollama_client.simulator.errors import RUNNER_DIED, Broken, Refusal
from ollama_client.simulator.hazards import Failure, Hazards
from ollama_client.simulator.models import Model
from ollama_client.simulator.options import Options
from ollama_client.simulator.plan import Piece, Plan

_BATCH = 64
# An endless answer that is kept whole must not fill the memory within seconds.
_MANY_TOKENS = 100_000
_REST_SECONDS = 0.01


class Generation:
    """One answer while it is made: batches of tokens, and the counts and times of the final object."""

    def __init__(self, plan: Plan, model: Model, options: Options, hazards: Hazards) -> None:
        self.plan = plan
        self.tokens = 0
        self._model = model
        self._options = options
        self._hazards = hazards
        self._failure = hazards.take_failure(model.name, refuses=False)
        self._started_ns = time.monotonic_ns()
        self._first_ns = 0
        self._last_ns = 0

    @property
    def prompt_ns(self) -> int:
        """From the slot to the first token."""
        return max(self._first_ns - self._started_ns, 1)

    @property
    def eval_ns(self) -> int:
        """From the first token to the last; 0 for a single one."""
        return max(self._last_ns - self._first_ns, 1) if self.tokens > 1 else 0

    async def batches(self) -> AsyncIterator[list[Piece]]:
        """
        The tokens as they fall due, one by one unless the speed is unlimited.

        Raises:
            Broken: A hazard ends the answer here.
            Refusal: A hazard, before the first token.
        """
        await asyncio.sleep(self._options.prompt_seconds)
        failure = self._failure
        if failure and failure.kind == "http_500":
            raise Refusal(500, RUNNER_DIED, from_runner=True)
        pieces = islice(self.plan.pieces, failure.after_tokens) if failure else self.plan.pieces
        due = time.monotonic()
        while True:
            await self._hazards.wait_while_hung(self._model.name, self.tokens)
            speed = self._options.tokens_per_second
            if self._model.tokens_per_second is not None:
                speed = self._model.tokens_per_second
            if speed > 0:
                due = max(due, time.monotonic() - 0.1) + 1 / speed
                await asyncio.sleep(due - time.monotonic())
            elif self.tokens:
                await asyncio.sleep(0 if self.tokens < _MANY_TOKENS else _REST_SECONDS)
            batch = self._next(pieces, speed)
            if not batch:
                break
            yield batch
        self._strike(failure)

    def _next(self, pieces: Iterator[Piece], speed: float) -> list[Piece]:
        one_by_one = speed > 0 or self._hazards.hangs(self._model.name)
        batch = list(islice(pieces, 1 if one_by_one else _BATCH))
        self._last_ns = time.monotonic_ns()
        if not self.tokens:
            self._first_ns = self._last_ns
        self.tokens += len(batch)
        return batch

    def _strike(self, failure: Failure | None) -> None:
        if failure:
            raise Broken(failure.kind)
        if self.plan.gives_up:
            raise Broken("abort_without_done")
