"""A database in memory, and its clock, which goes on by itself and can be moved on."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, create_engine
from sqlalchemy.pool import QueuePool

from jobs.database import Database, prepare_engine, serialise
from jobs.instants import utc_now
from jobs.models import Base


class MemoryDatabase(Database):
    """An empty SQLite in memory with all tables of the core; gone when it is closed."""

    def __init__(self) -> None:
        # One connection, since each would be a database of its own; threads take turns.
        engine = create_engine(
            "sqlite://",
            hide_parameters=True,
            json_serializer=serialise,
            poolclass=QueuePool,
            pool_size=1,
            max_overflow=0,
            connect_args={"check_same_thread": False},
        )
        super().__init__(prepare_engine(engine))
        self._moved = timedelta()
        with self.transaction() as connection:
            Base.metadata.create_all(connection)

    def now(self) -> datetime:
        """The present by this database's clock."""
        return utc_now() + self._moved

    def advance(self, seconds: float) -> None:
        """Move the clock on."""
        self._moved += timedelta(seconds=seconds)

    def at(self, now: datetime | None) -> dict[str, datetime | None]:
        return super().at(now or self.now())

    def moment(self, now: datetime | None = None) -> ColumnElement[Any]:
        return super().moment(now or self.now())
