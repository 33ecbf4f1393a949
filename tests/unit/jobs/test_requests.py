"""What may be submitted, and what an error says about it."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import InvalidRequest
from jobs.requests import SubmitJob, validate_submit

SECRET = "my secret prompt"
MESSAGES = [{"role": "user", "content": "Hi"}]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({"prompt": "Why?"}, "generate"),
        ({"messages": MESSAGES}, "chat"),
        ({"input": "a text"}, "embed"),
        ({"input": ["a", "b"]}, "embed"),
        ({"prompt": "Why?", "kind": "generate"}, "generate"),
        ({"messages": MESSAGES, "kind": "chat"}, "chat"),
    ],
)
def test_the_kind_follows_from_the_input(values: dict[str, Any], kind: str) -> None:
    """It may be named too, as long as it fits."""
    request = validate_submit(values)
    assert request.kind == request.resolved_kind == kind


@pytest.mark.parametrize(
    ("given_priority", "priority"),
    [(0, 0), (9, 9), ("urgent", 0), ("high", 2), ("normal", 5), ("low", 7), ("batch", 9)],
)
def test_priorities_are_numbers_or_names(given_priority: Any, priority: int) -> None:
    """Both mean a level."""
    assert validate_submit({"prompt": "Why?", "priority": given_priority}).priority == priority


def test_the_defaults() -> None:
    """A prompt is enough."""
    request = validate_submit({"prompt": "Why?"})
    assert (request.priority, request.model, request.metadata) == (5, None, {})
    assert (request.deadline_seconds, request.timeout_seconds) == (None, None)


def test_a_models_name_is_normalised() -> None:
    """One model has one queue, however it is written."""
    assert validate_submit({"prompt": "Why?", "model": "Llama3:latest"}).model == "llama3"


def test_what_is_kept_for_the_model() -> None:
    """Only what Ollama gets to see, without what was not given; unknown fields of a message stay."""
    message = {"role": "user", "content": "Hi", "images": ["aGk="], "name": "Ann"}
    request = validate_submit({"messages": [message], "priority": 1, "metadata": {"a": "b"}, "think": False})
    assert request.generation_input() == {"messages": [message], "think": False}


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, "found none"),
        ({"prompt": SECRET, "messages": MESSAGES}, "found prompt and messages"),
        ({"prompt": SECRET, "input": "x"}, "found prompt and input"),
        ({"prompt": ""}, "prompt"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "", "content": SECRET}]}, "messages.0.role"),
        ({"messages": [{"content": SECRET}]}, "messages.0.role"),
        ({"messages": [SECRET]}, "messages.0"),
        ({"messages": [{"role": "user", "content": [SECRET]}]}, "messages.0.content"),
        ({"input": []}, "input"),
        ({"input": ""}, "input"),
        ({"input": [SECRET, 1]}, "input"),
        ({"prompt": [SECRET]}, "prompt"),
        ({"prompt": SECRET, "kind": "chat"}, "does not go with prompt"),
        ({"prompt": SECRET, "kind": "poem"}, "kind"),
        ({"prompt": SECRET, "priority": 10}, "priority: must be 0"),
        ({"prompt": SECRET, "priority": -1}, "priority"),
        ({"prompt": SECRET, "priority": True}, "priority"),
        ({"prompt": SECRET, "priority": 1.5}, "priority"),
        ({"prompt": SECRET, "priority": "5"}, "priority"),
        ({"prompt": SECRET, "priority": "Urgent"}, "priority"),
        ({"prompt": SECRET, "model": "a model"}, "model"),
        ({"prompt": SECRET, "model": ""}, "model"),
        ({"prompt": SECRET, "deadline_seconds": 0}, "deadline_seconds"),
        ({"prompt": SECRET, "deadline_seconds": "60"}, "deadline_seconds"),
        ({"prompt": SECRET, "timeout_seconds": math.inf}, "timeout_seconds"),
        ({"prompt": SECRET, "timeout_seconds": math.nan}, "timeout_seconds"),
        ({"prompt": SECRET, "timeout_seconds": 1e9}, "timeout_seconds"),
        ({"prompt": SECRET, "metadata": {"a": 1}}, "metadata.a"),
        ({"prompt": SECRET, "metadata": {"a": "x" * 1001}}, "metadata.a"),
        ({"prompt": SECRET, "options": {"num_predict": 0}}, "num_predict"),
        ({"prompt": SECRET, "options": [SECRET]}, "options"),
        ({"prompt": SECRET, "format": "yaml"}, "format"),
        ({"prompt": SECRET, "think": "much"}, "think"),
        ({"prompt": SECRET, "tools": SECRET}, "tools"),
        ({"prompt": SECRET, "images": SECRET}, "images"),
        ({"prompt": SECRET, "stream": True}, "stream"),
        ({"promt": SECRET}, "promt"),
    ],
)
def test_what_is_wrong_is_named_and_not_quoted(values: dict[str, Any], says: str) -> None:
    """The error names the field; it never shows a prompt, since errors end up in logs."""
    with pytest.raises(InvalidRequest) as raised:
        validate_submit(values)
    assert says in raised.value.message
    assert SECRET not in raised.value.message
    assert raised.value.__cause__ is None  # pydantic's own error would quote it in a traceback


def test_every_wrong_field_is_named() -> None:
    """One answer tells all."""
    with pytest.raises(InvalidRequest) as raised:
        validate_submit({"prompt": SECRET, "priority": 11, "think": "x", "nope": 1})
    assert all(name in raised.value.message for name in ("priority", "think", "nope"))


@given(st.text(min_size=1))
def test_any_text_is_a_prompt(prompt: str) -> None:
    """Nothing is stripped, normalised or refused."""
    assert validate_submit({"prompt": prompt}).generation_input() == {"prompt": prompt}


def test_the_kind_is_settled_by_validation() -> None:
    """Asking an unchecked request for it is a mistake of ours."""
    with pytest.raises(AssertionError):
        _ = SubmitJob.model_construct(prompt="Why?", kind=None).resolved_kind
