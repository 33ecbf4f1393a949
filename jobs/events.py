"""
What happens to a job, as it happens, over Redis Streams.

    paddock:events:<job id>   stream; one entry an event: type, data (JSON). Capped, expires
    paddock:live:<job id>     channel; "<entry id> <type> <data>" of each entry as it is added
    paddock:cancelled         channel; the id of a job whose run must stop

A status has, when a job begins for the first time, what else that changes of it. A token has `text`
and perhaps `thinking`; of a job whose client is relayed the lines of its route, also the lines as
`raw`, and `at`, the number of characters of all lines before. The last ones come with `done`; in
their place, for an answer in one piece, `whole`, if it is not long, and when the job failed, what
its client is to get as `error`.

The stream is for whoever comes late or comes back, the channel for whoever is
there: one connection can serve all readers of a process. Nothing depends on
either being complete: the row says how a job ended.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import redis

from jobs.records import Claimed
from jobs.round_trips import Command, RoundTrip, by_client

STREAM_PREFIX = "paddock:events:"
LIVE_PREFIX = "paddock:live:"
CANCELLED_CHANNEL = "paddock:cancelled"
MAX_ENTRIES = 20_000
EXPIRE_SECONDS = 3600

STATUS, TOKEN, RESTART, DONE = "status", "token", "restart", "done"

# Of each event KEYS have the stream and the channel, and ARGV, after the cap and the time, type and data.
_ADD = """
for n = 1, #KEYS, 2 do
  local stream, channel, kind, data = KEYS[n], KEYS[n + 1], ARGV[n + 2], ARGV[n + 3]
  local id = redis.call('XADD', stream, 'MAXLEN', '~', ARGV[1], '*', 'type', kind, 'data', data)
  redis.call('EXPIRE', stream, ARGV[2])
  redis.call('PUBLISH', channel, id .. ' ' .. kind .. ' ' .. data)
end
"""
_AT_ONCE = (
    500  # events of one call: Redis does nothing else meanwhile, and unpacks no more than some thousands
)


@dataclass(frozen=True)
class Event:
    """One entry; `id` is the stream's own, "<milliseconds>-<sequence>", and resumes a reader."""

    id: str
    type: str
    data: dict[str, Any]


def begun(claimed: Claimed, worker: str) -> dict[str, Any]:
    """What a STATUS event has besides when a job begins for the first time: nobody need look at its row."""
    return {
        "started_at": claimed.started_at.isoformat(),
        "worker": worker,
        "priority": claimed.priority,
    }


class EventWriter:
    """
    Adds events; raises `redis.RedisError` while Redis is away.

    Args:
        client: Answers as text (`decode_responses=True`).
        send: How events are sent, if not by the client.
    """

    def __init__(self, client: redis.Redis, send: RoundTrip | None = None) -> None:
        self._client = client
        self._send = send or by_client(client)

    def add(self, job_id: str, event: str, data: dict[str, Any]) -> None:
        """One event."""
        self.add_all([(job_id, event, data)])

    def add_all(
        self,
        events: Iterable[tuple[str, str, dict[str, Any]]],
        also: Iterable[Command] = (),
    ) -> None:
        """
        Several events, each a job's id, a type and its data, in their order and one round trip.

        Args:
            also: What else is to be written in it.
        """
        waiting = list(events)
        commands: list[Command] = []
        for first in range(0, len(waiting), _AT_ONCE):
            keys: list[str] = []
            values: list[str] = []
            for job_id, event, data in waiting[first : first + _AT_ONCE]:
                keys += (STREAM_PREFIX + job_id, LIVE_PREFIX + job_id)
                values += (event, json.dumps(data))
            # The whole script each time: of its hash one would first have to ask whether it is known.
            commands.append(("EVAL", _ADD, len(keys), *keys, MAX_ENTRIES, EXPIRE_SECONDS, *values))
        commands.extend(also)
        if commands:
            self._send(commands)

    def with_readers(self, job_ids: list[str]) -> list[str]:
        """Those of these jobs whose live channel somebody listens to."""
        counted = self._client.pubsub_numsub(*(LIVE_PREFIX + job_id for job_id in job_ids))
        return [str(name).removeprefix(LIVE_PREFIX) for name, readers in counted if readers]

    def cancelled(self, job_id: str) -> None:
        """Tell whoever runs the job to stop."""
        self._client.publish(CANCELLED_CHANNEL, job_id)


def read_events(client: Any, job_id: str, *, after: str = "0-0") -> Iterator[Event]:
    """The entries after `after` that are still kept, oldest first."""
    for entry_id, fields in client.xrange(STREAM_PREFIX + job_id, min=f"({after}"):
        yield Event(entry_id, fields["type"], json.loads(fields["data"]))


def entry_order(entry_id: str) -> tuple[int, int]:
    """
    Orders entry ids.

    Raises:
        ValueError: not an entry id.
    """
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence or 0)
