"""What is repeated, how often, and after how long."""

import pytest

from ollama_client.errors import (
    BadRequest,
    GenerationAborted,
    ModelNotFound,
    OllamaBusy,
    OllamaError,
    OllamaUnavailable,
    ServerError,
    TotalTimeout,
)
from ollama_client.retry import RetryPolicy, doubling


def run(policy, *outcomes):
    """Run the policy over these outcomes; the attempts' numbers, and the result or error."""
    left, counted = list(outcomes), []

    def once():
        outcome = left.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    try:
        return counted, policy.run(once, counted.append)
    except OllamaError as error:
        return counted, error


def test_waits_double():
    """2, 4, 8 … seconds, and not for ever more."""
    assert [doubling(attempt) for attempt in (1, 2, 3, 4, 20)] == [2, 4, 8, 16, 60]


@pytest.mark.parametrize("error", [OllamaUnavailable(), OllamaBusy(), ServerError(), TotalTimeout()])
def test_what_may_pass_is_repeated_after_the_waits(error):
    """Outages, server errors and timeouts."""
    waits = []
    counted, result = run(RetryPolicy(4, sleep=waits.append), error, error, error, "answer")
    assert (counted, result, waits) == ([1, 2, 3, 4], "answer", [2, 4, 8])


@pytest.mark.parametrize("error", [BadRequest(), ModelNotFound(), GenerationAborted()])
def test_what_will_not_change_is_not_repeated(error):
    """A refused request, and a generation that Ollama gave up."""
    assert run(RetryPolicy(3, sleep=pytest.fail), error) == ([1], error)


def test_the_last_error_is_the_one_that_leaves():
    """After so many attempts, without a wait behind the last."""
    waits, last = [], ServerError("last")
    assert run(RetryPolicy(2, sleep=waits.append), ServerError(), last) == ([1, 2], last)
    assert waits == [2]


def test_other_exceptions_pass_at_once():
    """A bug is not repeated."""
    with pytest.raises(KeyError):
        run(RetryPolicy(3, sleep=pytest.fail), KeyError())
