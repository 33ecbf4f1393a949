"""`Idempotency-Key` on a running stack: 50 requests at once are one job, and all get its answer."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from bench.local_stack import LocalStack, local_stack

AT_ONCE = 50
CHAT = {"model": "alpha", "messages": [{"role": "user", "content": "Why?"}], "options": {"num_predict": 20}}


@pytest.fixture(scope="module")
def stack() -> Iterator[LocalStack]:
    """One slot, answers that take a while."""
    with local_stack(
        slots=1, simulator_options=("--models", "alpha", "--tokens-per-second", "40")
    ) as running:
        yield running


def ask(stack: LocalStack, path: str, body: dict[str, Any], value: str) -> requests.Response:
    headers = {**stack.headers, "Idempotency-Key": value}
    return requests.post(stack.base_url + path, json=body, headers=headers, timeout=60)


def generations(stack: LocalStack) -> int:
    lines = [json.loads(line) for line in stack.served_log.read_text().splitlines()]
    return len([line for line in lines if line["event"] == "start"])


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/llm/jobs/submit/", {"prompt": "Why?", "model": "alpha"}),
        ("/api/chat", CHAT),
        ("/api/chat", {**CHAT, "stream": False}),
        ("/v1/chat/completions", {**CHAT, "stream": True, "max_tokens": 20}),
    ],
)
def test_of_fifty_at_once_all_get_the_one_answer(stack: LocalStack, path: str, body: dict[str, Any]) -> None:
    """Those who come while it runs, too; it is generated once."""
    before = generations(stack)
    value = f"{path}{json.dumps(body)}"[:200]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda _: ask(stack, path, body, value), range(AT_ONCE)))
    assert {answer.status_code for answer in answers} <= {200, 202}
    assert [answer.headers.get("Idempotent-Replayed") for answer in answers].count(None) == 1
    if path != "/api/llm/jobs/submit/":
        assert len({answer.headers["X-Job-ID"] for answer in answers}) == 1
        assert len({answer.text for answer in answers}) == 1
        late = ask(stack, path, body, value)
        assert late.text == answers[0].text
    else:
        assert len({answer.json()["job_id"] for answer in answers}) == 1
        waiting = {**stack.headers, "Prefer": "wait=20"}
        url = stack.base_url + answers[0].json()["urls"]["status"]
        ended = requests.get(url, headers=waiting, timeout=60)
        assert ended.json()["status"] == "completed"
    assert generations(stack) == before + 1
