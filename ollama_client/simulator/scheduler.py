"""
Who gets which model when, in Ollama's own order.

A request whose model is loaded goes straight to that model's slots, past all that wait for a
load. The others wait in one queue, `max_queue` long, served one at a time: its first makes room
(an idle model is unloaded, a busy one waited for) and then loads. A busy model chosen to go is
unloaded when it falls idle, unless one of its later requests set a `keep_alive`: then it stays
for that long, and the queue waits.

Source:
    Ollama's server/sched.go, and the measurements beside the recorded exchanges.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field
from typing import Any

from ollama_client.simulator.errors import Refusal, queue_full
from ollama_client.simulator.models import Model
from ollama_client.simulator.options import Options
from ollama_client.simulator.runner import Runner


class LoadAborted(Exception):
    """The client that a model was being loaded for went away."""


@dataclass(eq=False, slots=True)
class Wish:
    """What a request needs: a model, loaded with certain settings."""

    model: Model
    num_ctx: int
    settings: tuple[object, ...] = ()
    keep_alive_seconds: float | None = None
    load_seconds: float = 0.0
    """Spent loading for this very request."""
    granted: asyncio.Future[Runner] = field(init=False)

    @property
    def key(self) -> tuple[object, ...]:
        """Equal keys share a runner; another `num_ctx` is a reload."""
        return (self.num_ctx, *self.settings)


class Scheduler:
    """The loaded models and the queue of those that wait for a load."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.runners: dict[str, Runner] = {}
        self.waiting: deque[Wish] = deque()
        self._serving: Wish | None = None
        self._queued = asyncio.Event()
        self._unloaded = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def runner(self, wish: Wish) -> AsyncIterator[Runner]:
        """
        The model's runner, loaded, held for the block.

        Raises:
            Refusal: The queue is full, or the model cannot be loaded.
        """
        runner = await self._hold(wish)
        try:
            yield runner
        finally:
            self._let_go(runner)

    def unload(self, model: Model) -> None:
        """Unload a model now, or as soon as it falls idle."""
        if runner := self.runners.get(model.name):
            runner.session_seconds = 0.0
            if runner.references == 0:
                self._remove(runner)

    def waiting_wishes(self) -> list[Wish]:
        """Those that wait for room or for their load to begin, the first first."""
        return [*([self._serving] if self._serving else []), *self.waiting]

    def start(self) -> None:
        """Begin to serve the queue."""
        self._spawn(self._serve_queue())

    async def stop(self) -> None:
        """Stop serving and loading."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for runner in list(self.runners.values()):
            self._remove(runner)

    async def _hold(self, wish: Wish) -> Runner:
        while True:
            runner = self.runners.get(wish.model.name)
            if runner is None or not runner.fits(wish.key):
                return await self._wait_for_load(wish)
            runner.take(wish.keep_alive_seconds)
            if not runner.is_loading:
                return runner
            try:
                # Shielded: this request's going must not end a load that another asked for.
                await asyncio.shield(runner.loaded)
            except LoadAborted:
                continue
            except BaseException:
                self._let_go(runner)
                raise
            return runner

    async def _wait_for_load(self, wish: Wish) -> Runner:
        # One wish may be in the loader's hands besides the queue, as with Ollama's buffered channel.
        ahead = len(self.waiting) + (self._serving is not None)
        if ahead > self.options.max_queue:
            raise queue_full()
        wish.granted = asyncio.get_running_loop().create_future()
        self.waiting.append(wish)
        self._queued.set()
        try:
            return await wish.granted
        except asyncio.CancelledError:
            with contextlib.suppress(ValueError):
                self.waiting.remove(wish)
            if not wish.granted.cancelled() and wish.granted.exception() is None:
                self._let_go(wish.granted.result())
            raise

    async def _serve_queue(self) -> None:
        while True:
            while not self.waiting:
                self._queued.clear()
                await self._queued.wait()
            self._serving = wish = self.waiting.popleft()
            # A client that goes is to be noticed while the loader waits for room.
            wish.granted.add_done_callback(self._look_again)
            try:
                await self._make_room(wish)
            finally:
                # Its load's end must not look to the next wish as if a model had gone.
                wish.granted.remove_done_callback(self._look_again)
                self._serving = None

    def _look_again(self, _: object) -> None:
        self._unloaded.set()

    async def _make_room(self, wish: Wish) -> None:
        while not wish.granted.done():
            runner = self.runners.get(wish.model.name)
            if runner and runner.fits(wish.key) and not runner.is_loading:
                runner.take(wish.keep_alive_seconds)
                wish.granted.set_result(runner)
                return
            going = runner
            if going is None and len(self.runners) >= self.options.max_loaded:
                going = self._next_to_go()
            if going is None:
                self._begin_load(wish)
                return
            if going.is_loading:
                await asyncio.wait([going.loaded, wish.granted], return_when=asyncio.FIRST_COMPLETED)
                continue
            self._unloaded.clear()
            going.session_seconds = 0.0
            if going.references == 0:
                self._remove(going)
            await self._unloaded.wait()

    def _next_to_go(self) -> Runner:
        """An idle model before a busy one before one that loads; the shortest session first."""
        return min(self.runners.values(), key=lambda r: (r.is_loading, r.references > 0, r.session_seconds))

    def _begin_load(self, wish: Wish) -> None:
        runner = Runner(wish.model, wish.key, wish.num_ctx, self.options.parallel)
        runner.session_seconds = self.options.keep_alive_seconds
        runner.take(wish.keep_alive_seconds)
        self.runners[wish.model.name] = runner
        self._spawn(self._load(runner, wish))

    async def _load(self, runner: Runner, wish: Wish) -> None:
        started = time.monotonic()
        # Ends at once when the client goes: that cancels the wish's future.
        await asyncio.wait([wish.granted], timeout=self.options.load_seconds)
        wish.load_seconds = time.monotonic() - started
        failure: Exception | None = None
        if wish.granted.done():
            failure = LoadAborted()
        elif wish.model.load_error:
            failure = Refusal(500, wish.model.load_error.format(blob=wish.model.blob))
        if failure is None:
            runner.loaded.set_result(None)
            wish.granted.set_result(runner)
            return
        runner.loaded.set_exception(failure)
        runner.loaded.exception()  # Nobody else may be waiting: then it is no unhandled error.
        if not wish.granted.done():
            wish.granted.set_exception(failure)
        self._remove(runner)

    def _let_go(self, runner: Runner) -> None:
        runner.references -= 1
        if runner.references > 0 or self.runners.get(runner.model.name) is not runner:
            return
        if runner.session_seconds <= 0:
            self._remove(runner)
        else:
            runner.arm_timer(lambda: self._remove(runner))

    def _remove(self, runner: Runner) -> None:
        runner.stop_timer()
        del self.runners[runner.model.name]
        if not runner.loaded.done():
            runner.loaded.cancel()
        self._unloaded.set()

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
