"""Which limit bounds the next wait."""

import pytest

from ollama_client.errors import (
    BetweenTokensTimeout,
    FirstTokenTimeout,
    OllamaUnavailable,
    TotalTimeout,
)
from ollama_client.limits import Limits, Timer


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_a_limit_is_above_zero(seconds):
    """Nonsense is refused by the limit's name."""
    with pytest.raises(ValueError, match="between_tokens_seconds"):
        Limits(between_tokens_seconds=seconds)


def test_the_first_token_limit_counts_from_sending(clock):
    """Time spent connecting is not part of it, time since sending is."""
    timer = Timer(Limits(first_token_seconds=10), clock)
    clock.now += 4
    timer.sending()
    clock.now += 3
    assert timer.seconds_left() == 7
    clock.now += 7
    with pytest.raises(FirstTokenTimeout, match="10 s"):
        timer.seconds_left()


def test_each_line_restarts_the_limit_between_tokens(clock):
    """Only silence uses it up."""
    timer = Timer(Limits(between_tokens_seconds=5), clock)
    timer.sending()
    for _ in range(3):
        timer.reading_on()
        clock.now += 4
        assert timer.seconds_left() == 1
    clock.now += 1
    with pytest.raises(BetweenTokensTimeout):
        timer.seconds_left()


def test_the_total_limit_caps_every_wait(clock):
    """The wait is the smaller of the phase's limit and what remains of the whole."""
    timer = Timer(Limits(between_tokens_seconds=5, total_seconds=8), clock)
    timer.sending()
    assert timer.seconds_left() == 8
    clock.now += 6
    timer.reading_on()
    assert timer.seconds_left() == 2
    clock.now += 2
    with pytest.raises(TotalTimeout, match="8 s"):
        timer.seconds_left()


def test_no_connection_in_time_is_an_outage(clock):
    """Even where the limit for the whole is the same."""
    timer = Timer(Limits(connect_seconds=3, total_seconds=3), clock)
    clock.now += 3
    assert type(timer.expired()) is OllamaUnavailable
