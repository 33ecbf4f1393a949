"""The whole stack in front of a simulator with the recorded models."""

import tests.environment  # noqa: F401, I001 - before anything reads the settings

import json
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bench.local_stack import LocalStack, local_stack


@pytest.fixture(scope="module")
def stack() -> Iterator[LocalStack]:
    """Gateway, worker and queue as users start them; a failed attempt is made again at once."""
    settings = {"PADDOCK_BACKOFF_SECONDS": "0", "PADDOCK_MAX_ATTEMPTS": "2", "PADDOCK_PATH_KEYS": "on"}
    with local_stack(slots=2, simulator_options=("--models", "wire"), settings=settings) as running:
        yield running


@pytest.fixture
def control(stack: LocalStack) -> Callable[..., None]:
    """Sets the simulator's switches, all reset first."""

    def switch(**switches: Any) -> None:
        data = json.dumps({"reset": True, **switches}).encode()
        url = f"{stack.ollama_url}/simulator/control"
        with urllib.request.urlopen(urllib.request.Request(url, data=data, method="POST"), timeout=10):
            pass

    return switch
