"""Removing messages from a queue whose jobs have been taken back."""

from collections.abc import Sequence

import redis

from jobs.records import Publication
from tasks.messages import LABEL_IN_LUA, label_of
from tasks.queue_lists import list_names, queue_name

# KEYS: the lists of a queue. ARGV: the label of each message to remove. A list is written
# anew, in steps, since a call takes so many arguments only. The script runs as a whole: nobody sees
# half a list.
_WITHDRAW = (
    LABEL_IN_LUA
    + """
local void, removed = {}, 0
for i = 1, #ARGV do void[ARGV[i]] = true end
for _, key in ipairs(KEYS) do
  local kept, messages = {}, redis.call('LRANGE', key, 0, -1)
  for _, message in ipairs(messages) do
    local label = label_of(message)
    if not (label and void[label]) then kept[#kept + 1] = message end
  end
  if #kept < #messages then
    removed = removed + #messages - #kept
    redis.call('DEL', key)
    for i = 1, #kept, 500 do redis.call('RPUSH', key, unpack(kept, i, math.min(i + 499, #kept))) end
  end
end
return removed
"""
)


def withdraw(client: redis.Redis, publications: Sequence[Publication]) -> int:
    """
    Remove the messages about these jobs of one model from whatever level they are at.

    They are void already: one that stays, because Redis is away, is dropped by the worker that takes it.

    Returns:
        How many were there.
    """
    if not publications:
        return 0
    names = list_names(queue_name(publications[0].model))
    void = [label_of(publication) for publication in publications]
    removed: int = client.eval(_WITHDRAW, len(names), *names, *void)
    return removed
