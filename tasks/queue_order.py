"""
kombu's `queue_order_strategy`: from which queues a worker takes its next message.

kombu makes one of these in every channel, publishers' included, and each keeps its own
list of queues. What decides is a property of the worker's parent process: `director`,
which the worker sets. Elsewhere all queues are asked at once.
"""

from collections.abc import Collection, Iterable
from typing import Protocol


class Director(Protocol):
    """Whoever knows what runs next."""

    def groups(self, queues: list[str], running: Collection[str]) -> list[list[str]]:
        """
        From which queues to take a message now.

        Args:
            running: The queues of the messages that are out, one each.

        Returns:
            Groups; a message of a later group only where all before have none. Within a group the level
            decides.
        """

    def may_overlap(self) -> bool:
        """Whether more messages may be taken than there are slots, as far as the order of models goes."""

    def sent(self, queue: str) -> None:
        """A message of this queue came."""


director: Director | None = None


def direct(by: Director | None) -> None:
    """Let this process's consumers ask `by`."""
    global director  # noqa: PLW0603 - kombu makes the strategies, without arguments
    director = by


class TurnOrder:
    """The queues of one channel."""

    def __init__(self, queues: Iterable[str] = ()) -> None:
        self.queues = list(queues)

    def update(self, queues: Iterable[str]) -> None:
        """The channel consumes these now."""
        self.queues[:] = queues

    def groups(self, running: Collection[str]) -> list[list[str]]:
        """As `Director.groups`."""
        if director is None or not self.queues:
            return [self.queues] if self.queues else []
        return director.groups(self.queues, running)

    def consume(self, n: int) -> list[str]:
        """kombu's own question, which knows no groups."""
        return [queue for group in self.groups(()) for queue in group][:n]

    def rotate(self, last_used: str) -> str:
        """A message of this queue came."""
        if director is not None:
            director.sent(last_used)
        return last_used
