"""
The routes under /simulator, which no Ollama has: watch it, and make it misbehave.

    GET  /simulator/state    what is loaded, running and waiting
    GET  /simulator/log      the log of served requests, one JSON object a line
    POST /simulator/control  a JSON object of switches; the state is the answer

Switches:
    hang                true, false, or one model's name: no tokens are made
    hang_after_tokens   how many tokens still come while it hangs (0)
    fail_next           {"kind", "count" (1), "after_tokens" (3), "model" (any)}, or a list of these;
                        kinds in hazards.py; an empty list clears
    tokens_per_second, load_seconds, prompt_seconds, parallel, max_loaded, max_queue, tokens,
    keep_alive_seconds, tool_calls      as the options; `parallel` from the next load on
    add_model, remove_model             a name; removing unloads
    unload              true: every idle model now, a busy one when it falls idle
    reset               true: first of all, the options of the start, no hazards, all models unloaded
"""

from collections.abc import Callable
from dataclasses import asdict, fields
from typing import Any

from aiohttp import web

from ollama_client.simulator import go_json
from ollama_client.simulator.hazards import Failure
from ollama_client.simulator.models import parse_model
from ollama_client.simulator.options import Options
from ollama_client.simulator.responses import respond, respond_error, respond_json
from ollama_client.simulator.simulator import SIMULATOR, Simulator

_OPTION_NAMES = {field.name for field in fields(Options)}


class Control:
    """Applies the switches to one simulator."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._at_start = asdict(simulator.options)
        self._switches: dict[str, Callable[[Any], None]] = {
            "reset": self._reset,
            "hang_after_tokens": self._hang_after,
            "hang": self._hang,
            "fail_next": self._fail_next,
            "add_model": self._add_model,
            "remove_model": self._remove_model,
            "unload": self._unload,
        }

    def apply(self, switches: dict[str, Any]) -> None:
        """
        Raises:
            ValueError: A switch is unknown or has a wrong value; those before it are on.
        """
        unknown = set(switches) - set(self._switches) - _OPTION_NAMES
        if unknown:
            raise ValueError(f"no such switch: {', '.join(sorted(unknown))}")
        for name, switch in self._switches.items():
            if name in switches:
                switch(switches[name])
        for name in _OPTION_NAMES & set(switches):
            self._simulator.options.change(name, switches[name])

    def _reset(self, _: object) -> None:
        for name, value in self._at_start.items():
            self._simulator.options.change(name, value)
        self._simulator.hazards.failures.clear()
        self._simulator.hazards.hang(False)
        self._unload(True)

    def _hang_after(self, tokens: int) -> None:
        self._simulator.hazards.hang(self._simulator.hazards.hanging, tokens)

    def _hang(self, which: bool | str) -> None:
        self._simulator.hazards.hang(which, self._simulator.hazards.hang_after_tokens if which else 0)

    def _fail_next(self, failures: Any) -> None:
        if failures == []:
            self._simulator.hazards.failures.clear()
        values = failures if isinstance(failures, list) else [failures]
        parsed = [Failure.parse(value) for value in values]
        self._simulator.hazards.failures += parsed

    def _add_model(self, text: object) -> None:
        if not isinstance(text, str):
            raise ValueError("add_model: NAME or NAME=CAPABILITY+CAPABILITY")
        self._simulator.catalogue.add(parse_model(text))

    def _remove_model(self, name: str) -> None:
        if model := self._simulator.catalogue.remove(name):
            self._simulator.scheduler.unload(model)

    def _unload(self, _: object) -> None:
        for runner in list(self._simulator.scheduler.runners.values()):
            self._simulator.scheduler.unload(runner.model)


CONTROL = web.AppKey("control", Control)


async def control(request: web.Request) -> web.Response:
    """POST /simulator/control."""
    try:
        switches = go_json.loads((await request.read()).decode("utf-8", "replace"))
        if not isinstance(switches, dict):
            raise ValueError("an object of switches is wanted")
        request.app[CONTROL].apply(switches)
    except (ValueError, TypeError) as error:
        return respond_error(str(error), 400)
    return respond_json(request.app[SIMULATOR].state())


async def state(request: web.Request) -> web.Response:
    """GET /simulator/state."""
    return respond_json(request.app[SIMULATOR].state())


async def log(request: web.Request) -> web.Response:
    """GET /simulator/log."""
    return respond(request.app[SIMULATOR].log.text().encode(), content_type="application/x-ndjson")
