"""The simulator answers every recorded exchange with the status, headers, keys and lines that Ollama gave."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conformance import recordings
from tests.simulator_process import SimulatorProcess, start_simulator

EXCEPTIONS: dict[str, str] = {
    "generate_stop": "the recorded text met its stop sequence at the first token; made-up words do not",
    "v1_responses": "not simulated: Paddock asks Ollama for none",
}
"""Exchanges that the simulator answers otherwise, and why."""

PREPARED: dict[str, dict[str, Any]] = {
    **{
        name: {"fail_next": {"kind": "stream_error", "after_tokens": 20}}
        for name in recordings.names()
        if name.startswith("midstream_kill_")
    },
    **{
        name: {"fail_next": {"kind": "cut", "after_tokens": 20}}
        for name in recordings.names()
        if name.startswith("midstream_server_")
    },
    **{
        name: {"fail_next": {"kind": "queue_full"}}
        for name in recordings.names()
        if name.startswith("err_queue_full_503")
    },
}
"""What went wrong when these were recorded."""

BEFORE: dict[str, list[str]] = {
    "ps_loaded": ["generate_warm_nonstream"],
    "ps_keepalive_0": ["generate_natural_eos", "generate_keepalive_0"],
    "ps_keepalive_10m": ["generate_natural_eos", "generate_keepalive_10m"],
    "ps_keepalive_60": ["generate_natural_eos", "generate_keepalive_60"],
    "ps_keepalive_minus1": ["generate_natural_eos", "generate_keepalive_minus1"],
    "ps_numctx_1024": ["generate_natural_eos", "generate_numctx_1024"],
}
"""What had been asked before."""


@pytest.fixture(scope="module")
def wire() -> Iterator[SimulatorProcess]:
    """A simulator with the recorded models, quick ones all."""
    with start_simulator("--models", "wire") as process:
        yield process


NAMES = [name for name in recordings.names() if name not in EXCEPTIONS]
ERRORS = [name for name in NAMES if recordings.load(name)["response"]["status"] >= 400]


@pytest.mark.parametrize("name", NAMES)
def test_an_exchange_has_the_recorded_shape(wire, name):
    """Status, headers, key order, value types and line breaks are the recorded ones."""
    wire.control(reset=True)
    for earlier in BEFORE.get(name, []):
        recordings.replay(recordings.load(earlier), wire.port)
    wire.control(**PREPARED.get(name, {}))
    recording = recordings.load(name)
    recorded = recordings.recorded_answer(recording)
    answered = recordings.replay(recording, wire.port)
    assert answered.status == recorded.status
    assert recordings.headers(answered) == recordings.headers(recorded)
    assert recordings.line_shapes(answered) == recordings.line_shapes(recorded)


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_has_the_recorded_words(wire, name):
    """A client that reads error messages reads the same ones."""
    recorded = recordings.recorded_answer(recordings.load(name))
    wire.control(reset=True, **PREPARED.get(name, {}))
    answered = recordings.replay(recordings.load(name), wire.port)
    # The path of the weights is made up, and Ollama cuts a runner's last words anywhere after "panic:".
    words = [re.split(r"/models/|\\npanic:", body)[0] for body in (answered.body, recorded.body)]
    assert words[0].rstrip('"}') == words[1].rstrip('"}')


def test_every_exception_is_a_recording():
    """None outlives what it excuses."""
    assert set(EXCEPTIONS) <= set(recordings.names())
