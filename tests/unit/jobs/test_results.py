"""What came out of a job, in the three forms people ask for it."""

from typing import Any

import pytest

from jobs.results import text_of, with_data, without_data


@pytest.mark.parametrize(
    ("kind", "field", "data"),
    [
        ("generate", "response", "It scatters."),
        ("chat", "message", {"role": "assistant", "content": "Hi"}),
        ("embed", "embeddings", [[0.1, 0.2]]),
    ],
)
def test_the_answer_is_stored_once(kind: str, field: str, data: Any) -> None:
    """Ollama's object is kept without it, and put together again."""
    final = {"model": "alpha", "done": True, field: data}
    kept = without_data(kind, final)
    assert kept == {"model": "alpha", "done": True}
    assert with_data(kind, kept, data) == final


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("It scatters.", "It scatters."),
        ("", ""),
        ({"role": "assistant", "content": "Hi"}, "Hi"),
        ({"role": "assistant", "content": None, "tool_calls": []}, ""),
        ({}, ""),
        ([[0.1]], ""),
        (None, ""),
    ],
)
def test_every_answer_has_a_text(data: Any, text: str) -> None:
    """A message's content; embeddings have none."""
    assert text_of(data) == text
