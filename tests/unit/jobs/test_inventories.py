"""What all workers' Ollamas list, put together."""

from typing import Any

from jobs.inventories import (
    Inventory,
    merged_loaded,
    merged_tags,
    publish_inventory,
    read_inventories,
    withdraw_inventory,
)


def test_an_inventory_is_told_and_withdrawn(redis_client: Any) -> None:
    """By its worker's name; who has not told has none."""
    inventory = Inventory([{"name": "a"}], [{"name": "b"}])
    publish_inventory(redis_client, "w1", inventory)
    assert read_inventories(redis_client, ["w1", "w2"]) == [inventory]
    withdraw_inventory(redis_client, "w1")
    assert read_inventories(redis_client, ["w1"]) == []
    assert read_inventories(redis_client, []) == []


def test_a_model_of_several_is_listed_once() -> None:
    """The newest of them, under whichever spelling; an odd name stands for itself."""
    old = {"name": "alpha", "modified_at": "2026-01-01T00:00:00Z", "size": 1}
    new = {"name": "Alpha:latest", "modified_at": "2026-01-02T00:00:00Z", "size": 2}
    odd = {"name": "a b"}
    assert merged_tags([Inventory([old, odd]), Inventory([new])]) == [new, odd]


def test_the_longest_to_stay_is_listed_first() -> None:
    """As Ollama does."""
    soon = {"name": "a", "expires_at": "2026-01-01T00:00:00Z"}
    late = {"name": "b", "expires_at": "2026-01-02T00:00:00Z"}
    assert merged_loaded([Inventory(loaded=[soon]), Inventory(loaded=[late])]) == [late, soon]
