"""The scheduler by itself: who comes and goes at the very moment of a load."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from ollama_client.simulator.errors import Refusal
from ollama_client.simulator.models import Model
from ollama_client.simulator.options import Options
from ollama_client.simulator.scheduler import Scheduler, Wish

MODEL = Model("one:latest")
BROKEN = Model("broken:latest", load_error="unable to load model: {blob}")


def scheduled(story: Callable[[Scheduler], Awaitable[None]], **options: float) -> None:
    """Run a story on a scheduler that serves."""

    async def run() -> None:
        scheduler = Scheduler(Options(**options))  # type: ignore[arg-type]
        scheduler.start()
        try:
            await asyncio.wait_for(story(scheduler), 5)
        finally:
            await scheduler.stop()

    asyncio.run(run())


async def holds(scheduler: Scheduler, until: asyncio.Event, model: Model = MODEL) -> None:
    """A request that holds its model's runner until an event."""
    async with scheduler.runner(Wish(model, 4096)):
        await until.wait()


async def references(scheduler: Scheduler, wanted: int) -> None:
    """Wait until so many requests hold the one runner."""
    while [runner.references for runner in scheduler.runners.values()] != [wanted]:
        await asyncio.sleep(0)


def test_a_busy_model_is_unloaded_when_it_falls_idle() -> None:
    """Not under the request that it works for."""

    async def story(scheduler: Scheduler) -> None:
        done = asyncio.Event()
        request = asyncio.create_task(holds(scheduler, done))
        await references(scheduler, 1)
        scheduler.unload(MODEL)
        assert list(scheduler.runners) == [MODEL.name]
        done.set()
        await request
        assert not scheduler.runners

    scheduled(story)


def test_to_unload_what_is_not_loaded_is_nothing() -> None:
    """As Ollama answers `keep_alive: 0` for a model at rest."""

    async def story(scheduler: Scheduler) -> None:
        scheduler.unload(MODEL)
        assert not scheduler.runners

    scheduled(story)


def test_one_that_shares_a_load_goes_without_ending_it() -> None:
    """The load was another's wish, which gets its model."""

    async def story(scheduler: Scheduler) -> None:
        done = asyncio.Event()
        first = asyncio.create_task(holds(scheduler, done))
        await references(scheduler, 1)
        second = asyncio.create_task(holds(scheduler, done))
        await references(scheduler, 2)
        second.cancel()
        await references(scheduler, 1)
        done.set()
        await first
        (runner,) = scheduler.runners.values()
        assert (runner.is_loading, runner.references) == (False, 0)

    scheduled(story, load_seconds=0.02)


def test_those_that_share_a_failing_load_fail_with_it() -> None:
    """Each with the load's own error, and nothing stays loaded."""

    async def story(scheduler: Scheduler) -> None:
        never = asyncio.Event()
        first = asyncio.create_task(holds(scheduler, never, BROKEN))
        await references(scheduler, 1)
        second = asyncio.create_task(holds(scheduler, never, BROKEN))
        await references(scheduler, 2)
        for request in (first, second):
            with pytest.raises(Refusal, match="unable to load model: /models/blobs") as raised:
                await request
            assert raised.value.status == 500
        assert not scheduler.runners

    scheduled(story, load_seconds=0.01)


def test_a_client_that_goes_as_its_model_is_granted_leaves_it_free() -> None:
    """The grant and the going in one turn of the loop: the model is loaded and idle."""

    async def story(scheduler: Scheduler) -> None:
        request = asyncio.create_task(holds(scheduler, asyncio.Event()))
        await references(scheduler, 1)
        (runner,) = scheduler.runners.values()
        runner.loaded.add_done_callback(lambda _: request.cancel())
        with pytest.raises(asyncio.CancelledError):
            await request
        assert list(scheduler.runners) == [MODEL.name]
        assert runner.references == 0

    scheduled(story)


def test_a_stop_amid_a_load_ends_those_that_wait_for_it() -> None:
    """Nobody waits for a model that will never come."""

    async def run() -> None:
        scheduler = Scheduler(Options(load_seconds=60))
        scheduler.start()
        first = asyncio.create_task(holds(scheduler, asyncio.Event()))
        await references(scheduler, 1)
        second = asyncio.create_task(holds(scheduler, asyncio.Event()))
        await references(scheduler, 2)
        await scheduler.stop()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(second, 1)
        assert not scheduler.runners
        first.cancel()

    asyncio.run(run())
