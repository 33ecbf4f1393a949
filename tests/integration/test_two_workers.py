"""Two workers on one Redis and one database, each beside an Ollama of its own."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery.result import AsyncResult

from tasks import generate
from tests.integration.system import System, consumed_queues, eventually
from tests.simulator_process import SimulatorProcess

OPTIONS = ("--parallel", "2", "--max-loaded", "1", "--load-seconds", "0.2", "--tokens-per-second", "100")


@pytest.fixture(scope="module")
def ollama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    """The first one's."""
    process = SimulatorProcess(tmp_path_factory.mktemp("ollama"), "--models", "alpha,beta", *OPTIONS)
    yield process
    process.stop()


def _submit(model: str, tokens: int) -> AsyncResult:
    return generate.delay("x", model=model, options={"num_predict": tokens})


def test_two_workers_share_what_both_have(system: System, tmp_path: Path) -> None:
    """Each serves its own models too; a job runs once."""
    other = SimulatorProcess(tmp_path, "--models", "alpha,gamma", *OPTIONS)
    left = system.start_worker("left", slots=2)
    right = system.start_worker("right", slots=2, PADDOCK_OLLAMA_HOST=other.url)
    try:
        eventually(lambda: {"ollama.alpha", "ollama.gamma"} <= consumed_queues(right), within=10)
        eventually(lambda: {"ollama.alpha", "ollama.beta"} <= consumed_queues(left), within=10)
        results = {model: [_submit(model, 20) for _ in range(12)] for model in ("beta", "gamma", "alpha")}
        for each in itertools.chain(*results.values()):
            each.get(timeout=60)
        here = {line["job"] for line in system.ollama.ended(outcome="done")}
        there = {line["job"] for line in other.ended(outcome="done")}
        assert not here & there
        assert {result.id for result in results["beta"]} <= here
        assert {result.id for result in results["gamma"]} <= there
        shared = {result.id for result in results["alpha"]}
        assert shared & here
        assert shared & there
    finally:
        left.stop()
        right.stop()
        other.stop()
