"""`flask --app api doctor` against the simulated Ollama."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from click.testing import Result
from flask import Flask

from api import create_app
from api.database import db, get_database
from api.live import live_events
from jobs.instants import utc_now
from jobs.workers import InstalledModel, WorkerReport, report_worker
from ollama_client.throughput import measure, warm_up
from ollama_client.transport import OllamaTransport
from settings import get_settings
from tasks import resources
from tests.simulator_process import SimulatorProcess, start_simulator
from tests.support.valkey import Valkey

pytestmark = [pytest.mark.one_database, pytest.mark.alone]
MODEL = "llama3.2:1b"


@pytest.fixture(scope="module")
def ollama() -> Iterator[SimulatorProcess]:
    """Runs four at once, at a known speed."""
    with start_simulator("--parallel", "4", "--tokens-per-second", "200", "--keep-alive", "5m") as process:
        yield process


@pytest.fixture
def run(
    tmp_path: Path, valkey: Valkey, real_redis: Any, ollama: SimulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Result]]:
    """The command on an installation of its own with a worker of four slots."""
    monkeypatch.setattr(resources, "_by_process", {})
    apps: list[Flask] = []

    def invoke(*arguments: str, slots: int = 4, model: str | None = MODEL) -> Result:
        values = {
            "database_url": f"sqlite:///{tmp_path / 'paddock.db'}",
            "redis_url": valkey.url,
            "ollama_host": ollama.url,
        }
        settings = get_settings().model_copy(update=values)
        app = create_app(settings)
        apps.append(app)
        with app.app_context():
            db.create_all()
            resources.use_database(get_database(), settings)
        now = utc_now().timestamp()
        models = [InstalledModel(MODEL)]
        report_worker(real_redis, WorkerReport("w1", "h", ollama.url, True, slots, now, models=models))
        named = [] if model is None else ["--model", model]
        return app.test_cli_runner().invoke(
            args=["doctor", *named, "--seconds", "0.5", "--tokens", "10", *arguments]
        )

    yield invoke
    for app in apps:
        with app.app_context():
            live_events().close()
            get_database().close()


@pytest.fixture
def persistent(real_redis: redis.Redis) -> Iterator[None]:
    """Redis writes to the disk for this test."""
    before = real_redis.config_get("appendonly")["appendonly"]
    real_redis.config_set("appendonly", "yes")
    yield
    real_redis.config_set("appendonly", before)


def test_the_curve_shows_what_ollama_runs_at_once(ollama: SimulatorProcess) -> None:
    """More than its slots wait inside it: the throughput is flat from there on."""
    with OllamaTransport(ollama.url, pool_size=16) as transport:
        assert warm_up(transport, MODEL) > 0
        one, four, eight = measure(transport, MODEL, levels=(1, 4, 8), seconds=0.6, max_tokens=10)
    assert (one.ran_at_once, four.ran_at_once, eight.ran_at_once) == (1, 4, 4)
    assert four.tokens_per_second > 2.5 * one.tokens_per_second
    assert eight.tokens_per_second < 1.5 * four.tokens_per_second
    assert eight.first_token_seconds > four.first_token_seconds


@pytest.mark.usefixtures("persistent")
def test_an_installation_that_fits(run: Callable[..., Result]) -> None:
    """The recommendation is what is set; exit status 0."""
    result = run()
    assert "OLLAMA_NUM_PARALLEL=4  PADDOCK_CONCURRENCY=4" in result.output
    assert "bad" not in result.output
    assert result.exit_code == 0, result.output


@pytest.mark.usefixtures("persistent")
def test_more_slots_than_ollama_has(run: Callable[..., Result]) -> None:
    """What is wrong is told with what to set; exit status 1."""
    result = run(slots=8)
    assert result.exit_code == 1
    assert "Set PADDOCK_CONCURRENCY=4" in result.output


def test_a_redis_without_persistence(run: Callable[..., Result]) -> None:
    """Looking alone finds it, and asks nothing of Ollama."""
    result = run("--no-measure")
    assert result.exit_code == 1
    assert "appendonly yes" in result.output
    assert "Recommended" not in result.output


def test_an_ollama_that_is_away(run: Callable[..., Result]) -> None:
    """One line."""
    result = run("--host", "http://127.0.0.1:9")
    assert (result.exit_code, len(result.output.splitlines())) == (1, 1)


def test_a_model_is_chosen(run: Callable[..., Result], ollama: SimulatorProcess) -> None:
    """Without a name, one that is loaded."""
    with OllamaTransport(ollama.url) as transport:
        warm_up(transport, MODEL)
    assert run("--no-measure", model=None).output.splitlines()[0].endswith(f" {MODEL}")
