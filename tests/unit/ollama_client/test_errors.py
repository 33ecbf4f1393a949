"""The error tree: what the worker and people read from it."""

import pickle

import pytest

from ollama_client import errors
from ollama_client.errors import GenerationAborted, ModelNotFound, OllamaError


def all_errors():
    """Every class of the tree."""
    found = [value for value in vars(errors).values() if isinstance(value, type)]
    return [kind for kind in found if issubclass(kind, OllamaError)]


CODES = {
    "OllamaError": "ollama_error",
    "OllamaUnavailable": "ollama_unavailable",
    "ConnectionCut": "ollama_connection_cut",
    "OllamaBusy": "ollama_busy",
    "OllamaTimeout": "ollama_timeout",
    "FirstTokenTimeout": "first_token_timeout",
    "BetweenTokensTimeout": "between_tokens_timeout",
    "TotalTimeout": "total_timeout",
    "BadRequest": "bad_request",
    "ModelNotFound": "model_not_found",
    "NoModelInstalled": "model_not_found",
    "ServerError": "ollama_error",
    "StreamError": "ollama_error",
    "InvalidResponse": "invalid_response",
    "GenerationAborted": "generation_aborted",
    "Aborted": "aborted",
}


def test_codes_are_stable():
    """Codes are part of the public interface."""
    assert {kind.__name__: kind.code for kind in all_errors()} == CODES


def test_outages_are_the_three_that_say_nothing_about_the_request():
    """Only these never count as an attempt."""
    outages = {kind.__name__ for kind in all_errors() if kind.is_outage}
    assert outages == {"OllamaUnavailable", "ConnectionCut", "OllamaBusy"}


def test_what_can_not_help_is_not_retryable():
    """A refused request, a spent total limit, a given-up generation and a cancelled call stay as they are."""
    final = {kind.__name__ for kind in all_errors() if not kind.is_retryable}
    assert final == {
        "OllamaError",
        "TotalTimeout",
        "BadRequest",
        "ModelNotFound",
        "NoModelInstalled",
        "GenerationAborted",
        "Aborted",
    }


@pytest.mark.parametrize("kind", all_errors())
def test_every_error_names_a_remedy_and_has_a_message(kind):
    """Without a message of its own an error says its docstring's first line."""
    assert kind.remedy.endswith(".")
    assert str(kind()) == kind.__doc__.strip().splitlines()[0]


def test_the_tree_in_the_docstring_is_complete():
    """Each class is drawn."""
    for kind in all_errors():
        assert f" {kind.__name__} " in f" {errors.__doc__} ".replace("\n", " ")


def test_errors_survive_pickling():
    """They cross process borders with all they know."""
    error = pickle.loads(pickle.dumps(GenerationAborted("gave up", text="so far", status=200)))
    assert (str(error), error.text, error.status) == ("gave up", "so far", 200)
    error = pickle.loads(pickle.dumps(ModelNotFound("no", status=404, body={"error": "no"})))
    assert (error.status, error.body) == (404, {"error": "no"})
