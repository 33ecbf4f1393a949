"""
Finds jobs whose message is lost, and publishes them again.

Messages get lost when Redis is flushed or loses its last second, when a
publication fails, and in the moment between kombu's pop and its note of what it
popped. Ids are compared, never counts: a duplicate would hide a loss. One Lua
call sees all lists at one moment; even so a message may be between pop and note,
so a job counts as lost when it was missing twice in a row.
"""

from dataclasses import dataclass, field

from jobs.housekeeping import published_before, republish
from jobs.records import Publication
from tasks.queue_lists import list_names, queue_name
from worker.keeper.keeper import Keeper

PUBLISHED_SECONDS_AGO = 3.0
CANDIDATES = 5000
UNACKED_KEY, UNACKED_INDEX_KEY = "unacked", "unacked_index"

# KEYS: the lists to look in; ARGV: "<id> <publication>" of each candidate, after the
# unacked keys and the oldest time of an entry that still counts as being worked on.
_MISSING = """
local missing = {}
for i = 4, #ARGV do missing[ARGV[i]] = true end
local function strike(message)
  local id = string.match(message, '"id": "([^"]+)"')
  local publication = string.match(message, '"publication": (%d+)')
  if id and publication then missing[id .. ' ' .. publication] = nil end
end
for _, key in ipairs(KEYS) do
  for _, message in ipairs(redis.call('LRANGE', key, 0, -1)) do strike(message) end
end
for _, tag in ipairs(redis.call('ZRANGEBYSCORE', ARGV[2], ARGV[3], '+inf')) do
  local message = redis.call('HGET', ARGV[1], tag)
  if message then strike(message) end
end
local found = {}
for candidate in pairs(missing) do found[#found + 1] = candidate end
return found
"""


@dataclass
class Reconciler:
    """Remembers what was missing the last time."""

    keeper: Keeper
    _missing: set[str] = field(default_factory=set)

    def run_once(self) -> int:
        """Publish what is lost; returns how many."""
        published = published_before(self.keeper.service, seconds_ago=PUBLISHED_SECONDS_AGO, limit=CANDIDATES)
        candidates = {_label(publication): publication for publication in published}
        missing = self._look(candidates) if candidates else set()
        lost = [candidates[label] for label in missing & self._missing]
        self._missing = missing
        again = [
            won
            for publication in lost
            if (
                won := republish(self.keeper.service, publication.job_id, publication=publication.publication)
            )
        ]
        self.keeper.publish(again, serve_next=True)
        return len(again)

    def _look(self, candidates: dict[str, Publication]) -> set[str]:
        queues = sorted({queue_name(publication.model) for publication in candidates.values()})
        lists = [name for queue in queues for name in list_names(queue)]
        seconds, _ = self.keeper.redis.time()
        worked_on_since = seconds - self.keeper.settings.lease_seconds
        found = self.keeper.redis.eval(
            _MISSING, len(lists), *lists, UNACKED_KEY, UNACKED_INDEX_KEY, str(worked_on_since), *candidates
        )
        return {str(label) for label in found}


def _label(publication: Publication) -> str:
    return f"{publication.job_id} {publication.publication}"
