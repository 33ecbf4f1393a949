"""Answers are made from their own prompt, say what they are, and repeat nothing of it."""

import re

import pytest

from ollama_client.simulator.answers import MARK, VOCABULARY, expected_embedding, expected_text, prompt_sha256


def test_the_first_token_says_that_it_is_simulated():
    """One token is enough to know."""
    assert expected_text("generate", "m", "hello", 1) == MARK


def test_an_answer_has_as_many_tokens_as_asked_for():
    """The mark counts as one."""
    assert len(expected_text("generate", "m", "hello", 100).split()) == 100


def test_an_answer_is_the_same_each_time():
    """Nothing but the request decides it."""
    assert expected_text("chat", "m", [{"role": "user", "content": "a"}], 20) == expected_text(
        "chat", "m", [{"content": "a", "role": "user", "images": []}], 20
    )


@pytest.mark.parametrize(
    "other", [("chat", "m", "hello"), ("generate", "n", "hello"), ("generate", "m", "hello ")]
)
def test_kind_model_and_prompt_each_change_it(other):
    """Two jobs can't be taken for each other."""
    assert expected_text(*other, 20) != expected_text("generate", "m", "hello", 20)


def test_the_system_text_changes_it():
    """A service's own instructions are part of the prompt."""
    plain = expected_text("generate", "m", "hello", 20)
    assert expected_text("generate", "m", "hello", 20, system="be brief") != plain
    assert expected_text("generate", "m", "hello", 20, system="") == plain


def test_spellings_of_a_model_are_one_model():
    """As for Ollama itself."""
    names = ["tiny-a", "TINY-A:latest", "registry.ollama.ai/library/tiny-a"]
    assert len({expected_text("generate", name, "hello", 20) for name in names}) == 1


def test_no_word_of_the_prompt_comes_back():
    """Even a prompt that knows the whole vocabulary is not repeated."""
    prompt = " ".join(VOCABULARY)
    answer = expected_text("generate", "m", prompt, 500)
    assert not set(re.findall(r"\w+", answer.removeprefix(MARK))) & set(VOCABULARY)


def test_an_embedding_has_length_one():
    """As /api/embed gives them."""
    vector = expected_embedding("m", "hello", 64)
    assert len(vector) == 64
    assert sum(value * value for value in vector) == pytest.approx(1, abs=1e-5)


def test_a_lone_surrogate_is_hashed():
    """JSON may hold one; it must not end the request."""
    assert len(prompt_sha256("\ud800")) == 64
