"""What a measurement says; the measuring itself is tested against the simulator."""

import pytest

from ollama_client.throughput import Exchange, Throughput, recommend, summarise


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
