"""
How many jobs a worker sends to its Ollama beyond its slots: the *overlap*, so that a slot that becomes
free finds its next job there already.

Between two jobs of a slot lie some milliseconds of the worker's own work: nothing beside a job of
seconds, a fifth of the time of jobs of 50 ms. But what waits inside Ollama is out of reach of
priority: an urgent job waits until it has begun. So there is an overlap only while all jobs are
short, and an urgent one waits for short ones.

Nobody knows how long a job will be. One that turns out long may have waited inside Ollama when an
urgent one came, and have taken the slot before it; then there is no overlap for a while, so that few
urgent ones meet another.

Ollama serves the requests for a loaded model in their order: as many of those that are out as there
are slots run, and the rest waits. Times are seconds of any clock that only goes forward.
"""

from collections import deque
from dataclasses import dataclass

SHORT_SECONDS = 0.12  # a job of 0.1 s and the worker's own work
LONG_SECONDS = 0.3  # a short job that overlaps is over by then, its wait included
CAUTIOUS_SECONDS = 30.0  # a hundred times as long as one that turns out long may have been there
FRESH_SECONDS = 1.0  # what ended before says nothing about the jobs that come now
ROUNDS = 2  # so many jobs of each slot must have been short
MOST_OVERLAP = 4  # each is a process; no more become free while a message is fetched, of 16 slots of 50 ms


def most_overlap(slots: int) -> int:
    """
    How many jobs may wait inside Ollama.

    Fewer than the slots: with as many, an urgent job would wait for one more in each of them.
    """
    return min(MOST_OVERLAP, max(1, slots - 1))


@dataclass
class _Sent:
    """A job that is out; `runs_since` is None while it waits inside Ollama."""

    queue: str
    at: float
    overlaps: bool
    runs_since: float | None


class Overlap:
    """
    What a worker has sent, and what the last jobs tell about the length of the next.

    Args:
        slots: How many jobs Ollama runs at once.
    """

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._out: dict[str, _Sent] = {}  # in their order
        self._ended: deque[tuple[float, float]] = deque(maxlen=ROUNDS * slots)  # when, and how long it ran
        self._again_at = float("-inf")

    def sent(self, tag: str, queue: str, now: float) -> bool:
        """
        A job goes out.

        Returns:
            Whether it has to wait inside Ollama until others of its queue have run. The first one of another
            model waits for its load, as it would anyway.
        """
        must_wait = len(self._out) >= self._slots
        overlaps = must_wait and any(job.queue == queue for job in self._out.values())
        self._out[tag] = _Sent(queue, now, overlaps, None if must_wait else now)
        return overlaps

    def ended(self, tag: str, now: float) -> None:
        """A job is back; the one that waits longest runs from now on."""
        job = self._out.pop(tag, None)
        if job is None:
            return
        if job.overlaps and now - job.at > LONG_SECONDS:
            self._again_at = now + CAUTIOUS_SECONDS
        if job.runs_since is None:
            return
        self._ended.append((now, now - job.runs_since))
        following = next((one for one in self._out.values() if one.runs_since is None), None)
        if following is not None:
            following.runs_since = now

    def room(self, now: float) -> int:
        """How many jobs may be out beyond the slots; 0 unless the last ones and those that run are short."""
        if now < self._again_at or len(self._ended) < ROUNDS * self._slots:
            return 0
        if now - self._ended[0][0] > FRESH_SECONDS or any(took > SHORT_SECONDS for _, took in self._ended):
            return 0
        if any(now - (job.runs_since or now) > SHORT_SECONDS for job in self._out.values()):
            return 0
        return most_overlap(self._slots)
