"""The parts of one simulated Ollama, put together."""

from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from ollama_client.simulator.hazards import Hazards
from ollama_client.simulator.log import Entry, ServedLog
from ollama_client.simulator.models import Catalogue
from ollama_client.simulator.options import Options
from ollama_client.simulator.scheduler import Scheduler


@dataclass
class Simulator:
    """What the routes share."""

    options: Options
    catalogue: Catalogue
    log: ServedLog
    hazards: Hazards = field(default_factory=Hazards)
    running: dict[int, Entry] = field(default_factory=dict)
    """Requests that have a slot, by their number."""
    scheduler: Scheduler = field(init=False)
    is_stopping: bool = False
    """Requests that are cut off now were not left by their clients."""

    def __post_init__(self) -> None:
        self.scheduler = Scheduler(self.options)

    def state(self) -> dict[str, Any]:
        """What is loaded, running and waiting at this moment."""
        return {
            "loaded": [
                {
                    "model": runner.model.name,
                    "num_ctx": runner.num_ctx,
                    "loading": runner.is_loading,
                    "references": runner.references,
                    "waiting_for_slot": runner.waiting_for_slot,
                }
                for runner in self.scheduler.runners.values()
            ],
            "running": [
                {"id": e.id, "model": e.model, "slot": e.slot, "job": e.job, "tokens": e.tokens}
                for e in self.running.values()
            ],
            "waiting_for_load": [wish.model.name for wish in self.scheduler.waiting_wishes()],
            "hanging": self.hazards.hanging,
            "failures": [
                {"kind": f.kind, "count": f.count, "after_tokens": f.after_tokens, "model": f.model}
                for f in self.hazards.failures
            ],
            "models": [model.name for model in self.catalogue.newest_first()],
        }


SIMULATOR = web.AppKey("simulator", Simulator)
