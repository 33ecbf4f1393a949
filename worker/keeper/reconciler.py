"""
Finds jobs whose message is lost, and publishes them again.

Messages get lost when Redis is flushed or loses its last second, when a
publication fails, and in the moment between kombu's pop and its note of what it
popped. Ids are compared, never counts: a duplicate would hide a loss. One Lua
call sees all lists at one moment; even so a message may be between pop and note,
so a job counts as lost when it was missing twice in a row.

Only what is released is looked at, which the window keeps small; a page of it each time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from jobs.housekeeping import published_before, republish
from jobs.records import Publication, Published
from jobs.window import BATCH
from jobs.workers import WORKERS_KEY
from tasks.messages import LABEL_IN_LUA, label_of
from tasks.queue_lists import list_names, queue_name
from tasks.taken_messages import taken_keys
from worker.keeper.keeper import Keeper

PUBLISHED_SECONDS_AGO = 3.0
CANDIDATES = 5000

# KEYS: two of each worker, where kombu notes what it has taken and when; behind them the lists to look
# in. ARGV: how many workers, the earliest time of an entry that still counts as being worked on, and
# the label of each candidate.
_MISSING = (
    LABEL_IN_LUA
    + """
local missing = {}
for i = 3, #ARGV do missing[ARGV[i]] = true end
local function strike(message)
  local label = label_of(message)
  if label then missing[label] = nil end
end
local workers = tonumber(ARGV[1])
for i = 1, 2 * workers, 2 do
  for _, tag in ipairs(redis.call('ZRANGEBYSCORE', KEYS[i + 1], ARGV[2], '+inf')) do
    local message = redis.call('HGET', KEYS[i], tag)
    if message then strike(message) end
  end
end
for i = 2 * workers + 1, #KEYS do
  for _, message in ipairs(redis.call('LRANGE', KEYS[i], 0, -1)) do strike(message) end
end
local found = {}
for candidate in pairs(missing) do found[#found + 1] = candidate end
return found
"""
)


@dataclass
class Reconciler:
    """Remembers what was missing the last time, and how far it has looked."""

    keeper: Keeper
    published_seconds_ago: float = PUBLISHED_SECONDS_AGO
    _missing: dict[str, Publication] = field(default_factory=dict)
    _since: datetime | None = None

    def run_once(self) -> int:
        """Publish what is lost; returns how many."""
        candidates = self._missing | {label_of(publication): publication for publication in self._next_page()}
        found = self._look(candidates) if candidates else set()
        lost = [publication for label, publication in self._missing.items() if label in found]
        self._missing = {label: candidates[label] for label in found - self._missing.keys()}
        lost.sort(key=lambda publication: publication.due_at, reverse=True)
        count = 0
        for first in range(0, len(lost), BATCH):
            numbers = {one.job_id: one.publication for one in lost[first : first + BATCH]}
            again = republish(self.keeper.service, numbers)
            self.keeper.publish(again, serve_next=True)
            count += len(again)
        return count

    def _next_page(self) -> list[Published]:
        page = published_before(
            self.keeper.service, seconds_ago=self.published_seconds_ago, limit=CANDIDATES, since=self._since
        )
        self._since = page[-1].published_at if len(page) == CANDIDATES else None
        return page

    def _look(self, candidates: Mapping[str, Publication]) -> set[str]:
        queues = sorted({queue_name(publication.model) for publication in candidates.values()})
        lists = [name for queue in queues for name in list_names(queue)]
        seconds, _ = self.keeper.redis.time()
        worked_on_since = seconds - self.keeper.settings.lease_seconds
        workers = self.keeper.redis.hkeys(WORKERS_KEY)
        keys = [*(key for worker in workers for key in taken_keys(str(worker))), *lists]
        found = self.keeper.redis.eval(
            _MISSING, len(keys), *keys, len(workers), str(worked_on_since), *candidates
        )
        return {str(label) for label in found}
