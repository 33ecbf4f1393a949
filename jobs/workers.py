"""
Which workers live, and what their Ollamas have.

    paddock:workers   hash; a worker's name → its last report, JSON. Written every second by its keeper

A report that is older than STALE_SECONDS is from a worker that is gone.
"""

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

from jobs.instants import utc_now

WORKERS_KEY = "paddock:workers"
STALE_SECONDS = 5.0
_FORGET_SECONDS = 3600.0


@dataclass(frozen=True)
class InstalledModel:
    """
    A model of one Ollama; `name` is normalised, sizes are bytes.

    `num_ctx` is the context it is loaded with when a request says none, in tokens: what its
    Modelfile says, else what it was last seen loaded with; None where neither is known.
    """

    name: str
    size_bytes: int = 0
    can_complete: bool = True
    is_loaded: bool = False
    num_ctx: int | None = None


@dataclass(frozen=True)
class WorkerReport:
    """One worker and the Ollama beside it."""

    name: str
    host: str
    ollama_url: str
    ollama_healthy: bool
    concurrency: int
    reported_at: float  # seconds since the epoch
    is_simulated: bool = False
    ollama_version: str | None = None
    models: list[InstalledModel] = field(default_factory=list)
    since: float = 0.0  # seconds since the epoch: from when on it has been there to report

    @classmethod
    def from_json(cls, text: str) -> Self:
        values = json.loads(text)
        models = [InstalledModel(**model) for model in values.pop("models")]
        return cls(**values, models=models)


def report_worker(client: Any, report: WorkerReport) -> None:
    """Publish one worker's report."""
    client.hset(WORKERS_KEY, report.name, json.dumps(asdict(report)))


def withdraw_worker(client: Any, name: str) -> None:
    """A worker that stopped in order is gone at once."""
    client.hdel(WORKERS_KEY, name)


def live_workers(
    client: Any, *, within_seconds: float = STALE_SECONDS, now: datetime | None = None
) -> list[WorkerReport]:
    """The workers that have reported lately, by name."""
    moment = (now or utc_now()).timestamp()
    reports = [WorkerReport.from_json(text) for text in client.hvals(WORKERS_KEY)]
    return sorted((r for r in reports if moment - r.reported_at <= within_seconds), key=lambda r: r.name)


def stale_workers(client: Any, *, now: datetime | None = None) -> list[str]:
    """The names of workers that have not reported for STALE_SECONDS, without having withdrawn."""
    known = {str(name) for name in client.hkeys(WORKERS_KEY)}
    return sorted(known - {worker.name for worker in live_workers(client, now=now)})


def forget_stale(client: Any, *, now: datetime | None = None) -> None:
    """Drop the reports of workers that have been gone for long."""
    moment = (now or utc_now()).timestamp()
    for name, text in client.hgetall(WORKERS_KEY).items():
        if moment - WorkerReport.from_json(text).reported_at > _FORGET_SECONDS:
            client.hdel(WORKERS_KEY, name)


def installed_models(workers: list[WorkerReport]) -> dict[str, InstalledModel]:
    """All models of all workers by name; loaded where one of them has it loaded."""
    found: dict[str, InstalledModel] = {}
    for worker in workers:
        for model in worker.models:
            known = found.get(model.name)
            if known is None or (model.is_loaded and not known.is_loaded):
                found[model.name] = model
    return found


def choose_default(models: list[InstalledModel]) -> str | None:
    """One that is loaded, else the smallest installed that can complete; None without any."""
    able = sorted(
        (m for m in models if m.can_complete), key=lambda m: (not m.is_loaded, m.size_bytes, m.name)
    )
    return able[0].name if able else None


def age_seconds(report: WorkerReport, *, now: datetime | None = None) -> float:
    """How old a report is."""
    return ((now or utc_now()) - datetime.fromtimestamp(report.reported_at, UTC)).total_seconds()
