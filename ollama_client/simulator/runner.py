"""One loaded model: its slots, who uses it, and how long it stays."""

import asyncio
import heapq
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from ollama_client.simulator.models import Model

# asyncio refuses to wait for centuries.
_LONGEST_TIMER_SECONDS = 86400.0 * 365


class Runner:
    """
    The process that Ollama starts for a model, with `parallel` slots.

    `references` counts the requests that hold it, those that wait for a slot included; at 0 it
    is idle, and a timer of `session_seconds` runs until it is unloaded.
    """

    def __init__(self, model: Model, settings: tuple[object, ...], num_ctx: int, parallel: int) -> None:
        self.model = model
        self.settings = settings
        self.num_ctx = num_ctx
        self.references = 0
        self.session_seconds = 0.0
        self.loaded = asyncio.get_running_loop().create_future()
        """Done when the load is over; its exception says that it failed or was aborted."""
        self.stepping = asyncio.Lock()
        """Held while tokens are made and sent: a reader that stops holds up every slot."""
        self.waiting_for_slot = 0
        self._slots = asyncio.Semaphore(parallel)
        self._free = list(range(parallel))
        self._timer: asyncio.TimerHandle | None = None
        self._expires_at = 0.0

    @property
    def is_loading(self) -> bool:
        """Whether its model is still being loaded."""
        return not self.loaded.done()

    @property
    def expires_at_ns(self) -> int:
        """When it is to be unloaded if nobody asks again, in nanoseconds since the epoch."""
        at = time.time() + self.session_seconds if self._timer is None else self._expires_at
        return int(at * 1e9)

    def fits(self, settings: tuple[object, ...]) -> bool:
        """Whether a request with these options can use it without a reload."""
        return self.settings == settings

    def take(self, keep_alive_seconds: float | None) -> None:
        """One more request holds it; a keep_alive of its own re-arms the runner, even one about to go."""
        self.references += 1
        self.stop_timer()
        if keep_alive_seconds is not None:
            self.session_seconds = keep_alive_seconds

    def arm_timer(self, expire: Callable[[], None]) -> None:
        """Unload after the session's time."""
        self.stop_timer()
        self._expires_at = time.time() + self.session_seconds
        delay = min(self.session_seconds, _LONGEST_TIMER_SECONDS)
        self._timer = asyncio.get_running_loop().call_later(delay, expire)

    def stop_timer(self) -> None:
        """It is not idle any more, or gone."""
        if self._timer:
            self._timer.cancel()
            self._timer = None

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[int]:
        """The number of a slot, free for the block; first come, first served."""
        self.waiting_for_slot += 1
        try:
            await self._slots.acquire()
        finally:
            self.waiting_for_slot -= 1
        number = heapq.heappop(self._free)
        try:
            yield number
        finally:
            heapq.heappush(self._free, number)
            self._slots.release()
