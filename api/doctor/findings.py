"""What the facts about an installation mean: each finding with what to do about it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from jobs.workers import WorkerReport
from ollama_client.throughput import Throughput, recommend

SHORT_KEEP_ALIVE_SECONDS = 60.0
MUCH_LOADING = 0.1  # of the time that jobs take


@dataclass(frozen=True)
class Facts:
    """
    What was found out; None where it could not be.

    Attributes:
        loaded: The model's entry in /api/ps right after it was used; None: it is not there.
        curve: What came of so many requests at once, fewest first; empty: not measured.
        redis: INFO of Redis.
        loading_share: Of the time that the last jobs took, how much went into loading models.
        job_models: Of how many models the last jobs were.
    """

    model: str
    now: datetime
    concurrency: int
    workers: Sequence[WorkerReport] = ()
    loaded: dict[str, Any] | None = None
    curve: Sequence[Throughput] = ()
    redis: dict[str, Any] | None = None
    is_sqlite: bool = True
    max_loaded_models: str | None = None
    loading_share: float = 0.0
    job_models: int = 0


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `remedy` says what to do where it is not as it should be."""

    name: str
    message: str
    is_good: bool = True
    remedy: str = field(default="")


def examine(facts: Facts) -> list[Finding]:
    """Everything that can be said."""
    return [finding for look in _LOOKS for finding in look(facts)]


def ollama_parallel(curve: Sequence[Throughput]) -> int | None:
    """How many requests Ollama runs at once; None where no more were asked than it ran."""
    widest = max(curve, key=lambda point: point.at_once, default=None)
    if widest is None or widest.ran_at_once >= widest.at_once:
        return None
    return max(point.ran_at_once for point in curve)


def recommended(curve: Sequence[Throughput]) -> int | None:
    """For OLLAMA_NUM_PARALLEL and PADDOCK_CONCURRENCY; None where nothing was measured."""
    return recommend(curve) if curve else None


def _where_the_model_is(facts: Facts) -> Iterator[Finding]:
    if facts.loaded is None:
        return
    size, on_gpu = int(facts.loaded.get("size") or 0), int(facts.loaded.get("size_vram") or 0)
    if not size:
        return
    if on_gpu >= size:
        yield Finding("memory", f"{facts.model} is on the GPU as a whole.")
    elif not on_gpu:
        yield Finding("memory", f"{facts.model} runs on the CPU alone.")
    else:
        yield Finding(
            "memory",
            f"{facts.model} is partly on the CPU, {1 - on_gpu / size:.0%} of it: that slows it down.",
            is_good=False,
            remedy="Choose a smaller model or quantisation, a smaller num_ctx or OLLAMA_NUM_PARALLEL, or "
            "end what else uses the GPU.",
        )


def _keep_alive(facts: Facts) -> Iterator[Finding]:
    expires_at = _instant((facts.loaded or {}).get("expires_at"))
    if expires_at is None:
        return
    stays = (expires_at - facts.now).total_seconds()
    if stays >= SHORT_KEEP_ALIVE_SECONDS:
        yield Finding("keep-alive", "An idle model stays loaded for long enough.")
    else:
        yield Finding(
            "keep-alive",
            f"An idle model is unloaded after {max(0.0, stays):.0f} s, and loaded again for the next job.",
            is_good=False,
            remedy="Set OLLAMA_KEEP_ALIVE to 5m or more where Ollama is started.",
        )


def _loading(facts: Facts) -> Iterator[Finding]:
    limit, share = facts.max_loaded_models, f"{facts.loading_share:.0%}"
    if facts.job_models > 1 and facts.loading_share > MUCH_LOADING:
        at_most = f" (OLLAMA_MAX_LOADED_MODELS={limit})" if limit else ""
        yield Finding(
            "loading",
            f"The last jobs spent {share} of their time on loading {facts.job_models} models{at_most}.",
            is_good=False,
            remedy="Raise OLLAMA_MAX_LOADED_MODELS if the GPU has room, or PADDOCK_AFFINITY_SECONDS.",
        )
    elif facts.job_models:
        yield Finding("loading", f"The last jobs spent {share} of their time on loading.")


def _slots(facts: Facts) -> Iterator[Finding]:
    best, parallel = recommended(facts.curve), ollama_parallel(facts.curve)
    if best is None:
        return
    if parallel is not None and parallel != facts.concurrency:
        more = facts.concurrency > parallel
        yield Finding(
            "slots",
            f"Ollama runs {parallel} at once, and Paddock sends {facts.concurrency}"
            + (": the rest waits inside Ollama, where priorities do not count." if more else "."),
            is_good=False,
            remedy=f"Set PADDOCK_CONCURRENCY={best} and OLLAMA_NUM_PARALLEL={best}.",
        )
    elif facts.concurrency < best:
        yield Finding(
            "slots",
            f"Paddock sends {facts.concurrency} at once; {best} give more.",
            is_good=False,
            remedy=f"Set PADDOCK_CONCURRENCY={best} and OLLAMA_NUM_PARALLEL={best}.",
        )
    else:
        yield Finding("slots", f"Paddock sends {facts.concurrency} at once, as many as Ollama runs.")


def _workers(facts: Facts) -> Iterator[Finding]:
    away = [worker.name for worker in facts.workers if not worker.ollama_healthy]
    if not facts.workers:
        yield Finding(
            "workers",
            "No worker is running, so jobs only wait.",
            is_good=False,
            remedy="Start one: make run, or make worker.",
        )
    elif away:
        yield Finding(
            "workers",
            f"The Ollama of {', '.join(away)} does not answer.",
            is_good=False,
            remedy="Start it, or correct the worker's OLLAMA_HOST.",
        )
    else:
        yield Finding("workers", f"{len(facts.workers)} running.")


def _database(facts: Facts) -> Iterator[Finding]:
    hosts = sorted({worker.host for worker in facts.workers})
    if facts.is_sqlite and len(hosts) > 1:
        yield Finding(
            "database",
            f"SQLite, and workers on several hosts ({', '.join(hosts)}), which can't share a file safely.",
            is_good=False,
            remedy="Move to Postgres: flask --app api db move, then set DATABASE_URL.",
        )
    else:
        yield Finding("database", "SQLite on one host." if facts.is_sqlite else "Postgres.")


def _redis(facts: Facts) -> Iterator[Finding]:
    if facts.redis is None:
        yield Finding(
            "redis",
            "Redis does not answer; jobs are accepted, and wait.",
            is_good=False,
            remedy="Start it, or correct REDIS_URL.",
        )
        return
    policy = str(facts.redis.get("maxmemory_policy", "noeviction"))
    if int(facts.redis.get("maxmemory") or 0) and policy != "noeviction":
        yield Finding(
            "redis",
            f"Redis may throw away what waits when its memory is full (maxmemory-policy {policy}).",
            is_good=False,
            remedy="Set maxmemory-policy noeviction.",
        )
    if not int(facts.redis.get("aof_enabled") or 0):
        yield Finding(
            "redis",
            "Redis keeps nothing on the disk: after its restart all that waits is published again.",
            is_good=False,
            remedy="Set appendonly yes, appendfsync everysec.",
        )


_LOOKS: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    *(_workers, _slots, _where_the_model_is, _keep_alive, _loading, _database, _redis),
)


def _instant(text: Any) -> datetime | None:
    """Ollama's time, which has nanoseconds; None for what is none."""
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
