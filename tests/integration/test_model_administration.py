"""Ollama's own routes for its models, on the running stack: passed on to the one worker's Ollama."""

import hashlib
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from bench.local_stack import LocalStack, local_stack
from tests.integration.system import eventually

# Passed on to Ollama: no job, no row.
pytestmark = pytest.mark.one_database


@pytest.fixture(scope="module")
def stack() -> Iterator[LocalStack]:
    with local_stack(slots=1, simulator_options=("--models", "alpha")) as running:
        yield running


def ask(stack: LocalStack, method: str, path: str, **options: Any) -> requests.Response:
    return requests.request(method, stack.base_url + path, headers=stack.headers, timeout=30, **options)


def names(stack: LocalStack) -> list[str]:
    return [model["name"] for model in ask(stack, "GET", "/api/tags").json()["models"]]


def test_progress_arrives_as_it_is_made(stack: LocalStack) -> None:
    """Line by line; and then the model is there, for requests too."""
    times = []
    with ask(stack, "POST", "/api/pull", json={"model": "beta"}, stream=True) as answer:
        assert answer.headers["Content-Type"] == "application/x-ndjson"
        for _ in answer.iter_lines():
            times.append(time.monotonic())
    assert len(times) == 4 and times[-1] - times[0] > 0.1
    eventually(lambda: "beta:latest" in names(stack))
    body = {"model": "beta", "prompt": "x", "stream": False, "options": {"num_predict": 1}}
    assert ask(stack, "POST", "/api/generate", json=body).ok


def test_a_model_is_made_published_and_removed(stack: LocalStack) -> None:
    """And is gone from the lists a moment later."""
    made = {"model": "ours", "from": "alpha", "stream": False}
    for method, path, body in (
        ("POST", "/api/create", made),
        ("POST", "/api/push", {"model": "ours", "stream": False}),
        ("DELETE", "/api/delete", {"model": "ours"}),
    ):
        assert ask(stack, method, path, json=body).status_code == 200
    assert ask(stack, "DELETE", "/api/delete", json={"model": "ours"}).status_code == 404
    eventually(lambda: "ours:latest" not in names(stack))


def test_a_file_of_any_size_is_passed_on(stack: LocalStack) -> None:
    """Larger than a body may be elsewhere, and never whole in memory."""
    piece = b"x" * 2**20
    whole = hashlib.sha256()
    for _ in range(40):
        whole.update(piece)
    path = f"/api/blobs/sha256:{whole.hexdigest()}"
    assert ask(stack, "HEAD", path).status_code == 404
    assert ask(stack, "POST", path, data=(piece for _ in range(40))).status_code == 201
    assert ask(stack, "HEAD", path).status_code == 200
