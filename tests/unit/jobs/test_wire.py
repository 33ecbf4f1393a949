"""Answers in a route's words: taken apart to be stored, and put together again."""

from typing import Any

import pytest

from jobs.results import with_data
from jobs.wire import WIRE_ROUTES, WireRequest, error_body, split_answer, wants_usage, whole_answer
from tests.conformance import recordings

WHOLE = [
    name
    for name in recordings.names()
    if (found := recordings.load(name))["request"]["path"] in WIRE_ROUTES
    and found["response"]["status"] == 200
    and isinstance(found["response"].get("body"), dict)
]


@pytest.mark.parametrize("name", WHOLE)
def test_a_recorded_answer_is_put_together_as_it_was(name: str) -> None:
    """Whatever its route; the order of its keys as well."""
    recording = recordings.load(name)
    path, body = recording["request"]["path"], recording["response"]["body"]
    result, data = split_answer(path, body)
    assert whole_answer(path, result, data) == body
    assert list(whole_answer(path, result, data)) == list(body)


@pytest.mark.parametrize(
    ("path", "answer", "data"),
    [
        ("/api/generate", {"response": "a", "done": True}, "a"),
        ("/api/chat", {"message": {"content": "a"}}, {"content": "a"}),
        ("/api/embed", {"embeddings": [[1.0]]}, [[1.0]]),
        ("/api/embeddings", {"embedding": [1.0]}, [[1.0]]),
        ("/v1/embeddings", {"data": [{"object": "embedding", "embedding": "AA", "index": 0}]}, ["AA"]),
        ("/v1/completions", {"choices": [{"text": "a"}]}, "a"),
        ("/v1/chat/completions", {"choices": [{"message": {"content": "a"}}]}, {"content": "a"}),
    ],
)
def test_the_answer_itself_is_kept_once(path: str, answer: dict[str, Any], data: Any) -> None:
    """As the Job API shows it."""
    result, found = split_answer(path, answer)
    assert found == data
    assert with_data(WIRE_ROUTES[path].kind, result, found)


def test_a_request_keeps_all_that_it_was_sent() -> None:
    """Fields that Paddock does not know included."""
    wire = WireRequest(path="/api/chat", body={"messages": [], "novelty": 1}, model="TINY:latest")
    assert wire.generation_input()["body"] == {"messages": [], "novelty": 1}
    assert (wire.model, wire.resolved_kind, wire.metadata) == ("tiny", "chat", {})
    assert (wire.deadline_seconds, wire.timeout_seconds, wire.priority) == (None, None, 5)


@pytest.mark.parametrize(
    ("body", "wanted"),
    [({}, False), ({"stream_options": 1}, False), ({"stream_options": {"include_usage": True}}, True)],
)
def test_counts_are_for_those_who_ask(body: dict[str, Any], wanted: bool) -> None:
    """In OpenAI's way."""
    assert wants_usage(body) is wanted


def test_an_error_has_the_shape_that_its_client_reads() -> None:
    """Ollama's is a text, OpenAI's an object."""
    assert error_body("ollama", 404, "gone") == {"error": "gone"}
    error = {"message": "gone", "type": "not_found_error", "param": None, "code": "c"}
    assert error_body("openai", 404, "gone", "c") == {"error": error}
    assert error_body("openai", 599, "odd")["error"]["type"] == "api_error"
