"""When a request's keep_alive reaches Ollama."""

from typing import Any

import pytest

from jobs.wire import WireRequest
from ollama_client.errors import OllamaUnavailable
from tests.support.fake_ollama import FakeTransport
from tests.support.jobs import WORKER, claim, submit
from tests.unit.worker.conftest import Worker

FINAL = {"model": "alpha", "response": "", "done": True}


def _run(worker: Worker, **body: Any) -> dict[str, Any]:
    """Run a request, and give the body that Ollama got."""
    wire = WireRequest(path="/api/generate", body={"model": "alpha", **body})
    submitted = worker.service.submit(wire, model="alpha", key_id="k1", task="tasks.generate")
    worker.run(submitted.job_id)
    return dict(worker.transport.calls[0]["body"])


@pytest.fixture(autouse=True)
def ollama(worker: Worker) -> FakeTransport:
    transport = FakeTransport(FINAL, answers={"/api/generate": FINAL})
    worker.use(transport)
    return transport


def test_an_idle_ollama_keeps_a_model_as_long_as_it_is_told(worker: Worker) -> None:
    """Nobody is held up."""
    assert _run(worker, prompt="Why?", keep_alive="10m")["keep_alive"] == "10m"
    assert len(worker.transport.calls) == 1


def test_while_jobs_wait_it_is_not_told(worker: Worker) -> None:
    """The next model must not wait for this one's time."""
    submit(worker.service, now=None)
    assert "keep_alive" not in _run(worker, prompt="Why?", keep_alive=-1)


def test_while_another_job_runs_here_it_is_not_told(worker: Worker) -> None:
    """On this worker's Ollama; elsewhere it does not matter."""
    claim(worker.service, submit(worker.service, now=None), worker=WORKER)
    assert "keep_alive" not in _run(worker, prompt="Why?", keep_alive=-1)


def test_unloading_alone_is_passed_on(worker: Worker) -> None:
    """Ollama itself waits for those that use the model."""
    submit(worker.service, now=None)
    assert _run(worker, keep_alive=0)["keep_alive"] == 0


@pytest.mark.parametrize("answer", [FINAL, OllamaUnavailable()])
def test_it_is_taken_back_when_another_model_came_meanwhile(worker: Worker, answer: Any) -> None:
    """So that one waits for nothing; an Ollama that does not listen changes nothing of the answer."""

    def come() -> None:
        if len(worker.transport.calls) == 1:
            claim(worker.service, submit(worker.service, now=None, model="beta"), worker=WORKER)

    worker.use(FakeTransport(FINAL, answers={"/api/generate": answer}, on_call=come))
    assert _run(worker, prompt="Why?", keep_alive="1h")["keep_alive"] == "1h"
    assert worker.transport.calls[1]["body"] == {"model": "alpha", "keep_alive": 0}
