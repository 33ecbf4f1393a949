"""What a measurement asks, and what it says."""

import itertools
import json
from typing import Any, cast

import pytest

from ollama_client.errors import ServerError
from ollama_client.stream import OllamaStream
from ollama_client.throughput import Exchange, Throughput, measure, recommend, summarise, warm_up
from ollama_client.transport import OllamaTransport
from tests.unit.ollama_client.fakes import CannedAnswer


def point(at_once: int, tokens_per_second: float) -> Throughput:
    return Throughput(at_once, tokens_per_second, 1.0, 0.1, at_once)


def test_the_figures_of_a_level() -> None:
    """Tokens over the whole time, the median first token, and what ran at the same moment."""
    found = summarise(3, [Exchange(0, 1, 4, 30), Exchange(0, 3, 5, 30), Exchange(1, 5, 8, 20)])
    assert found == Throughput(3, 80 / 8, 3 / 8, 3, ran_at_once=2)


def test_one_that_begins_as_another_ends_is_not_beside_it() -> None:
    """Ollama's next request starts when a slot is free."""
    assert summarise(2, [Exchange(0, 0, 1, 5), Exchange(0, 1, 2, 5)]).ran_at_once == 1


@pytest.mark.parametrize(
    ("curve", "best"),
    [
        ([(1, 10.0), (2, 19.0), (4, 35.0), (8, 36.0), (16, 36.5)], 4),
        ([(1, 10.0), (2, 10.0)], 1),
        ([(1, 10.0), (2, 20.0), (4, 40.0), (8, 80.0), (16, 160.0)], 16),
        ([(1, 10.0), (2, 30.0), (4, 12.0)], 2),
        ([(1, 0.0), (2, 0.0)], 1),
    ],
)
def test_the_fewest_that_give_nearly_the_best(curve: list[tuple[int, float]], best: int) -> None:
    """More at once only makes each request slower."""
    assert recommend([point(*one) for one in curve]) == best


class Asked:
    """A transport that answers each generation with two tokens and counts three, up to a number of them."""

    def __init__(self, most: int = 10_000) -> None:
        self.left = most
        self.options: list[Any] = []

    def generate(self, model: str, prompt: str, **fields: Any) -> OllamaStream:
        self.options.append(fields["options"])
        self.left -= 1
        if self.left < 0:
            raise ServerError("out of memory", status=500)
        lines = [{"response": "a", "done": False}, {"response": "", "done": True, "eval_count": 3}]
        return OllamaStream(cast("Any", CannedAnswer("".join(json.dumps(x) + "\n" for x in lines).encode())))


def asked(transport: Asked) -> OllamaTransport:
    return cast("OllamaTransport", transport)


def test_a_level_is_asked_again_until_its_time_is_over() -> None:
    """By one alone, on a clock that moves a second at each look: sent, first token, end, and over?"""
    transport, seconds = Asked(), itertools.count()
    (found,) = measure(asked(transport), "tiny", levels=[1], seconds=10, clock=lambda: next(seconds))
    # Asked at 1, 5 and 9: the one that is under way at 10 is still read to its end.
    assert found == Throughput(1, 9 / 10, 3 / 10, 1, ran_at_once=1)
    assert transport.options == [{"num_predict": 48}] * 3


def test_each_level_asks_so_many_at_once() -> None:
    """Each of them once at least, also where there is no time."""
    transport = Asked()
    levels = [found.at_once for found in measure(asked(transport), "tiny", levels=[1, 2, 4], seconds=1e-9)]
    assert levels == [1, 2, 4]
    assert len(transport.options) >= 7


def test_one_failure_ends_the_measurement() -> None:
    """The others stop asking too."""
    transport = Asked(most=5)
    with pytest.raises(ServerError, match="out of memory"):
        list(measure(asked(transport), "tiny", levels=[4], seconds=3600))
    assert 6 <= len(transport.options) <= 9


def test_a_model_is_warm_after_one_token() -> None:
    """The wait for it is what loading took."""
    transport = Asked()
    assert 0 <= warm_up(asked(transport), "tiny") < 5
    assert transport.options == [{"num_predict": 1}]
