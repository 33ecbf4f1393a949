"""From a checked request to its answer on the wire: the model, a slot, the tokens, the log."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from aiohttp import web

from ollama_client.simulator.answers import prompt_sha256
from ollama_client.simulator.ask import Ask
from ollama_client.simulator.errors import RUNNER_DIED, Broken, Refusal, queue_full
from ollama_client.simulator.generation import Generation
from ollama_client.simulator.log import Entry
from ollama_client.simulator.plan import make_plan
from ollama_client.simulator.replies import Reply
from ollama_client.simulator.responses import respond
from ollama_client.simulator.result import Result
from ollama_client.simulator.runner import Runner
from ollama_client.simulator.simulator import Simulator


class Served:
    """A request that holds a slot."""

    def __init__(self, simulator: Simulator, entry: Entry, runner: Runner) -> None:
        self.entry = entry
        self.runner = runner
        self._simulator = simulator
        self._is_over = False
        simulator.running[entry.id] = entry
        simulator.log.start(entry)

    def is_over(self, outcome: str) -> None:
        """Log the end, once, before the last bytes go out: whoever has them finds it logged."""
        if not self._is_over:
            self._is_over = True
            self._simulator.running.pop(self.entry.id, None)
            self._simulator.log.end(self.entry, outcome)


@contextlib.asynccontextmanager
async def a_slot(simulator: Simulator, ask: Ask) -> AsyncIterator[Served]:
    """
    The model's loaded runner and one of its slots for the block, logged.

    Raises:
        Refusal: The queue is full, or the model cannot be loaded.
    """
    entry = Entry(ask.path, ask.model.name, prompt_sha256(ask.prompt), ask.job)
    served = None
    outcome = "error"
    try:
        if simulator.hazards.take_failure(ask.model.name, refuses=True):
            raise queue_full()
        wish = ask.wish()
        async with simulator.scheduler.runner(wish) as runner, runner.slot() as slot:
            entry.slot = slot
            entry.load_seconds = wish.load_seconds
            waited = (time.monotonic_ns() - ask.arrived_ns) / 1e9
            entry.queued_seconds = max(waited - wish.load_seconds, 0.0)
            served = Served(simulator, entry, runner)
            yield served
        outcome = "done"
    except (asyncio.CancelledError, ConnectionError):
        outcome = "error" if simulator.is_stopping else "client_gone"
        raise
    finally:
        if served:
            served.is_over(outcome)
        else:
            simulator.log.end(entry, outcome)


async def answer(simulator: Simulator, request: web.Request, ask: Ask, reply: Reply) -> web.StreamResponse:
    """Generate an answer and send it, streamed or in one piece."""
    try:
        plan = make_plan(ask, simulator.options)
        async with a_slot(simulator, ask) as served:
            generation = Generation(plan, ask.model, simulator.options, simulator.hazards)
            result = Result(ask, generation, served.entry.load_seconds)
            send = _stream if ask.stream else _whole
            return await send(request, result, reply, served)
    except Refusal as refusal:
        body = reply.failed(refusal.message, refusal.status)
        if ask.stream and refusal.from_runner:
            return respond(body, refusal.status, "application/json", chunked=True)
        return respond(body, refusal.status, reply.whole_type)


async def _whole(request: web.Request, result: Result, reply: Reply, served: Served) -> web.StreamResponse:
    try:
        async for batch in result.generation.batches():
            async with served.runner.stepping:
                result.pieces += batch
            served.entry.tokens = result.generation.tokens
        result.is_done = True
    except Broken as broken:
        served.is_over("error")
        if broken.kind == "cut":
            return cut(request, web.StreamResponse())
        if broken.kind == "stream_error":
            return respond(reply.failed(RUNNER_DIED, 500), 500, reply.whole_type)
    served.is_over("done")
    return respond(reply.whole(result), 200, reply.whole_type)


async def _stream(request: web.Request, result: Result, reply: Reply, served: Served) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": reply.stream_type})
    response.enable_chunked_encoding()
    end = b""
    try:
        async for batch in result.generation.batches():
            served.entry.tokens = result.generation.tokens
            if result.tool_calls:
                continue
            async with served.runner.stepping:
                if not response.prepared:
                    await response.prepare(request)
                await response.write(reply.lines(result, batch))
        result.is_done = True
        end = (reply.calls(result) if result.tool_calls else b"") + reply.done(result)
    except Broken as broken:
        served.is_over("error")
        if broken.kind == "cut":
            return cut(request, response)
        if broken.kind == "stream_error":
            if not response.prepared:
                raise Refusal(500, RUNNER_DIED, from_runner=True) from None
            end = reply.broken(RUNNER_DIED)
    served.is_over("done")
    if not response.prepared:
        await response.prepare(request)
    await response.write_eof(end)
    return response


def cut(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """Close the connection as a killed server does: what was sent arrives, no terminating chunk follows."""
    if request.transport:
        request.transport.close()
    return response
