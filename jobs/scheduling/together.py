"""Which models Ollama holds at the same time, learned from what it shows as loaded."""

from collections.abc import Collection


class LoadedTogether:
    """
    Remembers pairs: two that were loaded together fit, until one of them comes after the other has gone.

    A memory, because a model that loads is not in the list yet, and one that has been idle
    for its keep-alive is no longer.
    """

    def __init__(self) -> None:
        self._pairs: set[frozenset[str]] = set()
        self._loaded: frozenset[str] = frozenset()
        self._gone: set[str] = set()  # since the last one came: it may have needed their place

    def observe(self, loaded: Collection[str]) -> None:
        """What is loaded now."""
        now = frozenset(loaded)
        self._gone = (self._gone | self._loaded) - now
        if came := now - self._loaded:
            self._pairs -= {frozenset({one, other}) for one in came for other in self._gone}
            self._gone.clear()
        self._pairs |= {frozenset({one, other}) for one in now for other in now if one < other}
        self._loaded = now

    def with_model(self, model: str) -> frozenset[str]:
        """This model and those that fit beside it and beside one another."""
        found = {model}
        # What is loaded at this moment first: that it fits needs no memory.
        partners = {name for pair in self._pairs if model in pair for name in pair}
        for other in sorted(partners - {model}, key=lambda name: (name not in self._loaded, name)):
            if all(frozenset({other, one}) in self._pairs for one in found):
                found.add(other)
        return frozenset(found)
