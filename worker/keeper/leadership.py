"""
One keeper at a time does the housekeeping.

    paddock:leader   string; the leading keeper's worker, expires LEASE_SECONDS after its last renewal

Two that lead for a moment do no harm, since each change is a conditional UPDATE;
the lease only spares the database the same queries from every worker.
"""

import redis

LEADER_KEY = "paddock:leader"
LEASE_SECONDS = 3.0

_LEAD = """
local leader = redis.call('GET', KEYS[1])
if leader and leader ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""


class Leadership:
    """This keeper's part in the choice of a leader."""

    def __init__(self, client: redis.Redis, name: str) -> None:
        self._lead = client.register_script(_LEAD)
        self._client = client
        self._name = name

    def is_held(self) -> bool:
        """Take or renew the lead; raises `redis.RedisError` while Redis is away."""
        return bool(self._lead(keys=[LEADER_KEY], args=[self._name, int(LEASE_SECONDS * 1000)]))

    def give_up(self) -> None:
        """Let another keeper lead at once."""
        if self._client.get(LEADER_KEY) == self._name:
            self._client.delete(LEADER_KEY)
