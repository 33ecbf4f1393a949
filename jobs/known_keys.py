"""
The keys that were used a moment ago: a busy client's is asked of the database once a second.

The question was an eighth of what the web process does about a submit, and with Postgres three
ways over the network. A change to a key holds at once in the process that makes it, and in others
within KNOWN_FOR_SECONDS. Unknown keys are not remembered.
"""

import time
from datetime import datetime

from jobs.instants import utc_now
from jobs.keys import Caller, KeyService, KnownKey, hash_of

KNOWN_FOR_SECONDS = 1.0
_MOST = 10_000  # keys; beyond that the memory starts anew


class KnownKeys:
    """Verifies as `KeyService` does; greenlets and threads may share it."""

    def __init__(self, keys: KeyService) -> None:
        self._keys = keys
        self._changes = keys.changes
        self._known: dict[str, tuple[float, KnownKey]] = {}

    def verify(self, secret: str, *, now: datetime | None = None) -> Caller | None:
        """Who this key is; None for an unknown, expired or revoked one."""
        key = self._recall(hash_of(secret))
        return key.caller if key is not None and key.is_valid(now or utc_now()) else None

    def _recall(self, digest: str) -> KnownKey | None:
        changes = self._keys.changes
        if self._changes != changes:
            self._known = {}
            self._changes = changes
        asked_at, known = time.monotonic(), self._known
        found_at, key = known.get(digest, (0.0, None))
        if key is not None and asked_at - found_at < KNOWN_FOR_SECONDS:
            return key
        key = self._keys.look_up(digest)
        if key is not None:
            if len(known) >= _MOST:
                known.clear()
            known[digest] = (asked_at, key)  # nobody's any more, if a key has changed meanwhile
        return key
