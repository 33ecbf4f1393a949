"""Where jobs line up between their submission and a worker: the broker's part, as far as order matters."""

from bisect import insort_left, insort_right

from jobs.records import Publication


class MemoryLine:
    """
    The line in memory: by due time, and in the order of publication where that is the same.

    That is the order of Redis within one model. Between models workers decide by turns,
    which this does not.
    """

    def __init__(self) -> None:
        self._waiting: list[Publication] = []

    def publish(self, publication: Publication, *, serve_next: bool = False) -> None:
        """Line a job up; with `serve_next`, for one that goes back, ahead of those with its due time."""
        insort = insort_left if serve_next else insort_right
        insort(self._waiting, publication, key=lambda waiting: waiting.due_at)

    def take(self) -> Publication | None:
        """Remove and return the message whose turn it is, which may be void by now; None: there is none."""
        return self._waiting.pop(0) if self._waiting else None
