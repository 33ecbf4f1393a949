"""A real worker on a real Valkey, a real database and the simulated Ollama."""

import tests.environment  # noqa: F401, I001 - before anything reads the settings

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from settings import ROOT
from tasks.resources import get_resources
from tests.integration.system import System, Worker
from tests.simulator_process import SimulatorProcess

LONGEST = "test_survival.py"
MODELS = "alpha,beta,gamma=embedding"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first, or one process would be left with it while the others have ended."""
    items.sort(key=lambda item: item.path.name != LONGEST)


@pytest.fixture(scope="module")
def ollama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    """A simulated Ollama with two models that write and one that embeds, four slots each."""
    process = SimulatorProcess(
        tmp_path_factory.mktemp("ollama"), "--models", MODELS, "--parallel", "4", "--tokens", "5"
    )
    yield process
    process.stop()


@pytest.fixture(scope="session")
def migrated() -> None:
    """The run's database has its tables, as an operator makes them."""
    command = [sys.executable, "-m", "flask", "--app", "api", "db", "upgrade"]
    subprocess.run(command, cwd=ROOT, env=dict(os.environ), check=True, capture_output=True)


@pytest.fixture(scope="module")
def system(
    migrated: None, tmp_path_factory: pytest.TempPathFactory, ollama: SimulatorProcess
) -> Iterator[System]:
    """Everything but workers."""
    folder: Path = tmp_path_factory.mktemp("system")
    running = System(folder, ollama, get_resources().database)
    running.forget_jobs()
    yield running
    running.close()
    running.database.close()  # its pool's connections to Postgres; the next module opens others


@pytest.fixture(scope="module")
def worker(system: System) -> Iterator[Worker]:
    """One worker with four slots, for the tests of a module."""
    process = system.start_worker()
    yield process
    process.stop()


@pytest.fixture
def own_worker(system: System) -> Iterator[Worker]:
    """A worker for one test, which may kill it."""
    process = system.start_worker("own")
    yield process
    process.stop()
