"""
Ageing of what is lined up: jobs that have become due for a level move to its list.

A list is in the order of its due times, so those to move stand at its serving end. One
that becomes due for a level has the due time of one that is submitted there now: it
joins at the back, and the list stays in order. From the most urgent level down, so that
no job moves twice in a sweep. The script runs as a whole and moves each message by one
command: no message is lost or doubled, whoever dies.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from jobs.instants import isoformat
from jobs.scheduling import LOWEST_LEVEL, lifted_before
from tasks.queue_lists import list_names, queue_name

MOST_MOVES = 300  # a sweep, of each level of a queue; 10 µs each, in which Redis serves nobody else

# KEYS: the lists of a queue, the most urgent level first. ARGV: the most moves, and then for
# each level from 1 on the moment until which its jobs must be due. Moments are texts of one
# form in UTC, which compare as they are.
_SWEEP = """
local lifted = 0
for level = 1, #KEYS - 1 do
  for _ = 1, tonumber(ARGV[1]) do
    local message = redis.call('LINDEX', KEYS[level + 1], -1)
    local due = message and string.match(message, '"due_at": "([^"]+)"')
    if not due or due > ARGV[level + 1] then break end
    redis.call('LMOVE', KEYS[level + 1], KEYS[level], 'RIGHT', 'LEFT')
    lifted = lifted + 1
  end
end
return lifted
"""


def lift_due(
    client: Any, models: Iterable[str], *, ageing_seconds: float, now: datetime, most: int = MOST_MOVES
) -> int:
    """One sweep over the queues of these (normalised) models; returns how many messages moved."""
    limits = [isoformat(lifted_before(level, now, ageing_seconds)) for level in range(1, LOWEST_LEVEL + 1)]
    with client.pipeline(transaction=False) as pipeline:
        for model in models:
            names = list_names(queue_name(model))
            pipeline.eval(_SWEEP, len(names), *names, most, *limits)
        return sum(pipeline.execute())
