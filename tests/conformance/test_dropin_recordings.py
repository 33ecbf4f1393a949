"""Paddock's Ollama and OpenAI routes answer the recorded exchanges as Ollama did, but for listed reasons."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from bench.local_stack import LocalStack
from tests.acceptance.clone import until
from tests.conformance import recordings
from tests.conformance.test_simulator_recordings import BEFORE, PREPARED

_ACTIVE = "a request that names no model is answered by the active one"
_QUEUED = "what Ollama's full queue refuses, Paddock keeps and asks again"
_AGAIN = "nothing had been sent, so the failed attempt was made again, and came to its end"
_BROWSERS = "keys guard Paddock, not the names of hosts and pages"

EXCEPTIONS: dict[str, str] = {
    **dict.fromkeys(
        (
            "embed_missing_model",
            "err_chat_empty_model",
            "err_chat_missing_model",
            "err_generate_empty_model",
            "err_generate_json_null",
            "err_generate_missing_model",
            "v1_chat_missing_model",
        ),
        _ACTIVE,
    ),
    **{name: _QUEUED for name in recordings.names() if name.startswith("err_queue_full_503")},
    "midstream_kill_generate_nonstream": _AGAIN,
    "midstream_kill_v1_nonstream": _AGAIN,
    "midstream_kill_v1_stream": "the error that Ollama loses is told",
    "midstream_server_sigkill_stream": "the end of the connection is told as an error's line",
    "midstream_server_sigterm_stream": "the end of the connection is told as an error's line",
    "err_host_header": _BROWSERS,
    "options_preflight": _BROWSERS,
    "err_chat_cloud_model": "what no worker's Ollama has installed is unknown, 404",
    "err_generate_cloud_model": "what no worker's Ollama has installed is unknown, 404",
    "generate_stop": "the simulated Ollama differs here itself",
    "status": "closed: it tells of one Ollama's account",
    "v1_chat_malformed": "every error of /v1 ends its line; Ollama's own for what is no JSON does not",
    "v1_responses": "closed as yet",
}
"""Exchanges that Paddock answers otherwise, and why."""

NAMES = [name for name in recordings.names() if name not in EXCEPTIONS]


def _wait_for_report(stack: LocalStack) -> None:
    """What is loaded is known a second later."""

    def loaded(url: str) -> Any:
        return requests.get(f"{url}/api/ps", headers=stack.headers, timeout=10).json()

    until(lambda: loaded(stack.base_url) == loaded(stack.ollama_url), "Paddock knows what is loaded")


def _content_type(answer: recordings.Answer) -> str:
    return answer.headers.get("Content-Type", "").partition(";")[0]


@pytest.mark.parametrize("name", NAMES)
def test_an_exchange_has_the_recorded_status_keys_and_lines(
    stack: LocalStack, control: Callable[..., None], name: str
) -> None:
    """Through the queue a client sees what it saw without."""
    recording = recordings.load(name)
    port = urlsplit(stack.base_url).port
    assert port is not None
    control()
    for earlier in BEFORE.get(name, []):
        recordings.replay(recordings.load(earlier), port, stack.headers)
    if name.startswith("ps_"):
        _wait_for_report(stack)
    control(**PREPARED.get(name, {}), reset=False)
    recorded = recordings.recorded_answer(recording)
    answered = recordings.replay(recording, port, stack.headers)
    assert answered.status == recorded.status, answered.body
    assert _content_type(answered) == _content_type(recorded)
    assert _shapes(answered) == _shapes(recorded)


def _shapes(answer: recordings.Answer) -> list[Any]:
    # Where OpenAI's errors have a code, Ollama has null, and Paddock has one.
    answer.body = re.sub(r'("code": ?)"\w+"', r"\1null", answer.body)
    return [
        (found[0], recordings.in_any_order(found[1])) if isinstance(found, tuple) else found
        for found in recordings.line_shapes(answer)
    ]


def test_every_exception_is_a_recording() -> None:
    """None outlives what it excuses."""
    assert set(EXCEPTIONS) <= set(recordings.names())
