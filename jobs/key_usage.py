"""When a key was last used: to the minute, with at most one write a minute for each key."""

import logging
import threading
from datetime import datetime, timedelta

from sqlalchemy import or_, update
from sqlalchemy.exc import SQLAlchemyError

from jobs.database import Database
from jobs.instants import utc_now
from jobs.keys import Caller
from jobs.models import ApiKey

RESOLUTION = timedelta(minutes=1)
_REMEMBERED = 10_000  # keys; beyond that the memory starts anew
log = logging.getLogger(__name__)


class KeyUsage:
    """
    Notes the uses of keys.

    The row says whether another process has noted this minute; the memory keeps the
    requests of this one, which all see the old row, from queuing up to write it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._tried_at: dict[str, datetime] = {}

    def note(self, caller: Caller, *, now: datetime | None = None) -> bool:
        """Note a use; returns whether that took a write. Never fails: the request matters more."""
        moment = now or utc_now()
        if caller.last_used_at is not None and moment - caller.last_used_at < RESOLUTION:
            return False
        if not self._is_my_turn(caller.key_id, moment):
            return False
        statement = update(ApiKey).where(
            ApiKey.id == caller.key_id,
            or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at <= moment - RESOLUTION),
        )
        try:
            with self._database.writing(durable=False) as session:
                session.execute(statement.values(last_used_at=moment))
        except SQLAlchemyError as error:
            log.warning("the use of key %s is not noted: %s", caller.key_id, type(error).__name__)
        return True

    def _is_my_turn(self, key_id: str, moment: datetime) -> bool:
        with self._lock:
            tried_at = self._tried_at.get(key_id)
            if tried_at is not None and moment - tried_at < RESOLUTION:
                return False
            if len(self._tried_at) >= _REMEMBERED:
                self._tried_at.clear()
            self._tried_at[key_id] = moment
            return True
