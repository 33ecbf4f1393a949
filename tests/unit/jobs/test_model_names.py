"""One spelling for what Ollama takes as the same model."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import InvalidRequest
from jobs.model_names import MAX_LENGTH, model_id, normalise_model


@pytest.mark.parametrize(
    ("name", "normalised"),
    [
        ("llama3.1:8b", "llama3.1:8b"),
        ("Llama3.1:8B", "llama3.1:8b"),
        ("llama3:latest", "llama3"),
        ("llama3:LATEST", "llama3"),
        ("library/llama3", "llama3"),
        ("registry.ollama.ai/library/llama3:latest", "llama3"),
        ("registry.ollama.ai/someone/llama3", "someone/llama3"),
        ("hf.co/Someone/Model-GGUF:Q4_K_M", "hf.co/someone/model-gguf:q4_k_m"),
        ("localhost:5000/mine/model", "localhost:5000/mine/model"),
        ("_x-1.2", "_x-1.2"),
        ("a", "a"),
    ],
)
def test_the_spellings_of_one_model(name: str, normalised: str) -> None:
    """Case, the default registry, namespace and tag make no difference."""
    assert normalise_model(name) == normalised


@pytest.mark.parametrize(
    "name",
    [
        *("", " ", "a b", "a:b:c", ":b", "a:", "/a", "a/", "a//b", "../a", "a..b", "a\n", "ä", "a\x06\x160"),
        *("-a", ".a", "a.", "a:-b", "a\x00b", "http://a", "a?b", "a%2e", "x" * (MAX_LENGTH + 1)),
    ],
)
def test_what_no_model_is_called(name: str) -> None:
    """It would name a queue, a log line or a path."""
    with pytest.raises(InvalidRequest, match="model: "):
        normalise_model(name)


def test_the_longest_name() -> None:
    """As long as its column."""
    assert normalise_model("x" * MAX_LENGTH) == "x" * MAX_LENGTH


def test_a_long_wrong_name_is_cut_in_the_error() -> None:
    """A prompt that was given as the model does not fill the log."""
    with pytest.raises(InvalidRequest) as raised:
        normalise_model("why " * 1000)
    assert len(raised.value.message) < 200


@given(st.from_regex(r"[A-Za-z0-9_]{1,8}(/[A-Za-z0-9_]{1,8}){0,2}(:[A-Za-z0-9_]{1,8})?", fullmatch=True))
def test_normalising_twice_changes_nothing(name: str) -> None:
    """A normalised name is its own spelling."""
    once = normalise_model(name)
    assert normalise_model(once) == once


def test_a_models_id_is_the_same_everywhere() -> None:
    """It is made of the name alone, whatever its spelling."""
    found = model_id("llama3")
    assert uuid.UUID(found).version == 5
    assert model_id("Library/Llama3:latest") == found != model_id("llama3:8b")
