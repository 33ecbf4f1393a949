"""What stands first in each queue, as far as the choice of a model's turn needs it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from jobs.scheduling import LOWEST_LEVEL, Waiting
from tasks.queue_lists import list_names, queue_name

# So many at the serving end of each list are looked at for the level they were submitted at.
LOOK = 16

# KEYS: the lists of each queue, the most urgent level first; ARGV: LOOK and the lists a queue.
# Answers for each queue false, or the due time of the oldest job and the most urgent level
# that one was submitted at. A list holds what was submitted at its level or below, so the
# first that has jobs of its own level ends the search.
_HEADS = """
local heads, lists = {}, tonumber(ARGV[2])
for first = 1, #KEYS, lists do
  local due, level
  for step = 0, lists - 1 do
    for _, message in ipairs(redis.call('LRANGE', KEYS[first + step], -ARGV[1], -1)) do
      local its_due = string.match(message, '"due_at": "([^"]+)"') or ''
      local its_level = tonumber(string.match(message, '"submitted_level": (%d)')) or step
      if not due or its_due < due then due = its_due end
      if not level or its_level < level then level = its_level end
    end
    if level and level <= step then break end
  end
  heads[#heads + 1] = due and {due, level} or false
end
return heads
"""


def ask_heads(pipeline: Any, models: Sequence[str]) -> None:
    """Add the question to a pipeline; `read_heads` reads its answer."""
    keys = [name for model in models for name in list_names(queue_name(model))]
    # The whole script each time: a pipeline of its hash would first ask whether it is known.
    pipeline.eval(_HEADS, len(keys), *keys, LOOK, LOWEST_LEVEL + 1)


def read_heads(models: Sequence[str], heads: Sequence[Any]) -> dict[str, Waiting]:
    """What waits for each model for which something does."""
    found = zip(models, heads, strict=True)
    return {model: Waiting(_seconds(head[0]), int(head[1])) for model, head in found if head}


def _seconds(due_at: str) -> float:
    """A message that somebody else put there may say none: it is served first, and found void."""
    try:
        return datetime.fromisoformat(due_at).timestamp()
    except ValueError:
        return 0.0
