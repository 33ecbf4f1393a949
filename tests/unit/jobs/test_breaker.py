"""Whoever meets a breaker does not wait for what does not answer."""

import pytest

from jobs import breaker as breaker_module
from jobs.breaker import Breaker
from tests.support.clock import Clock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that stands still until it is told."""
    found = Clock(100.0)
    monkeypatch.setattr(breaker_module, "time", found)
    return found


def test_a_breaker_lets_all_through_while_it_works(clock: Clock) -> None:
    """Nothing is held up."""
    breaker = Breaker()
    assert all(breaker.allows() for _ in range(3))
    breaker.succeeded()
    assert breaker.allows()


def test_a_breaker_lets_one_try_a_second_through(clock: Clock) -> None:
    """After a failure the others do not pay for the tries."""
    breaker = Breaker()
    breaker.failed()
    assert not breaker.allows()
    clock.now += 0.999
    assert not breaker.allows()
    clock.now += 0.001
    assert [breaker.allows(), breaker.allows()] == [True, False]
    clock.now += 1.0
    assert [breaker.allows(), breaker.allows()] == [True, False]
    breaker.succeeded()
    assert [breaker.allows(), breaker.allows()] == [True, True]
