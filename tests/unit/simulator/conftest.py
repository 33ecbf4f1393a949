"""One simulator for all tests of this folder, as at its start before each."""

from collections.abc import Iterator

import pytest

from tests.simulator_process import SimulatorProcess, start_simulator


@pytest.fixture(scope="session")
def one_process() -> Iterator[SimulatorProcess]:
    """A simulator with two more plain models."""
    with start_simulator("--models", "llama3.2:1b,other,third,qwen3:0.6b,all-minilm") as process:
        yield process


@pytest.fixture
def ollama(one_process: SimulatorProcess) -> SimulatorProcess:
    """The simulator, nothing loaded, no hazards, no delays."""
    one_process.control(reset=True)
    one_process.wait_until(lambda: not one_process.state()["running"] and not one_process.state()["loaded"])
    return one_process
