"""Finding out about an installation: its Ollama, Redis, database and workers."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import redis

from api.configuration import current_settings
from api.database import get_database
from api.doctor.findings import Facts
from api.late import get_resources
from jobs.errors import InvalidRequest, NoModel
from jobs.forecast import read_loading
from jobs.instants import utc_now
from jobs.model_names import normalise_model
from jobs.workers import choose_default
from ollama_client.limits import Limits
from ollama_client.throughput import LEVELS, Throughput, measure, warm_up
from ollama_client.transport import OllamaTransport
from settings import read_environment

OnPoint = Callable[[Throughput], None]
_LIMITS = Limits(connect_seconds=5.0, first_token_seconds=10.0, total_seconds=15.0)


def make_transport(host: str) -> OllamaTransport:
    """To the Ollama that is measured."""
    return OllamaTransport(host, limits=_LIMITS, pool_size=max(LEVELS))


def choose_model(transport: OllamaTransport, name: str | None) -> str:
    """
    The model to measure: the one that is named, else the active one, else one that is there.

    Raises:
        OllamaError: Ollama can't be asked. NoModel: it has none.
    """
    chosen = name or get_resources().catalog.active() or current_settings().model
    if chosen is not None:
        return chosen
    from tasks.installed import read_models

    found = choose_default(read_models(transport))
    if found is None:
        raise NoModel("This Ollama has no model: ollama pull llama3.2:1b")
    return found


def find_out(transport: OllamaTransport, model: str) -> Facts:
    """All but the measurement."""
    settings = current_settings()
    workers = get_resources().catalog.workers()
    here = [worker.concurrency for worker in workers if worker.ollama_url == transport.base_url]
    with get_database().reading() as session:
        share, models = read_loading(session)
    return Facts(
        model=model,
        now=utc_now(),
        concurrency=sum(here) or settings.concurrency,
        workers=workers,
        redis=_redis_info(),
        is_sqlite=get_database().engine.dialect.name == "sqlite",
        max_loaded_models=read_environment().get("OLLAMA_MAX_LOADED_MODELS"),
        loading_share=share,
        job_models=models,
    )


def use_model(transport: OllamaTransport, facts: Facts) -> Facts:
    """
    Load the model, and see where it is.

    Raises:
        OllamaError: it can't be loaded.
    """
    warm_up(transport, facts.model)
    wanted = _same_name(facts.model)
    loaded = next((one for one in transport.ps() if _same_name(str(one["name"])) == wanted), None)
    return replace(facts, loaded=loaded, now=utc_now())


def measure_curve(
    transport: OllamaTransport, facts: Facts, *, seconds: float, max_tokens: int, on_point: OnPoint
) -> Facts:
    """
    Measure the throughput at each level.

    Args:
        seconds: For each level.
        on_point: Called with each point as it is known.

    Raises:
        OllamaError: a request failed.
    """
    curve = []
    for point in measure(transport, facts.model, seconds=seconds, max_tokens=max_tokens):
        on_point(point)
        curve.append(point)
    return replace(facts, curve=curve)


def _redis_info() -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = get_resources().redis.info()
    except redis.RedisError:
        return None
    return found


def _same_name(name: str) -> str:
    try:
        return normalise_model(name)
    except InvalidRequest:
        return name
