"""
The engine and its transactions, and what SQLite and Postgres do differently.

SQLite: WAL; `synchronous=FULL`, because accepted means on the disk, except for
what a worker does: after a power cut its runs are over, and what it finished in
the last second runs again. Writers begin IMMEDIATE, or two that read first could
never both upgrade.
"""

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Engine, bindparam, create_engine, event, func, literal, type_coerce
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool, PoolProxiedConnection

from jobs.instants import Instant, utc_now

BUSY_TIMEOUT_SECONDS = 30
_ASK_AGAIN_SECONDS = 0.001
# A checkpoint inside somebody's commit holds up whoever waits for it; the keeper makes one every
# second, so this number of pages (80 MB) is only reached without any keeper.
_OWN_CHECKPOINT_PAGES = 20_000
_SYNCHRONOUS = "paddock_synchronous"  # of a connection that is to write: FULL or NORMAL
_SET = "paddock_synchronous_set"  # and what it was the last time, which SQLite keeps


class Serialised(str):
    """JSON as text already: made before the transaction that writes it, in which others wait for the lock."""

    __slots__ = ()


def serialise(value: Any) -> str:
    """JSON for a column, by now at the latest."""
    return value if isinstance(value, Serialised) else json.dumps(value)


@dataclass(frozen=True)
class Connections:
    """How many connections to Postgres a process keeps, and for how long; SQLite knows none of it."""

    pool_size: int = 5
    pool_overflow: int = 10
    recycle_seconds: float = 1800.0
    connect_timeout_seconds: int = 5
    statement_timeout_seconds: float | None = None  # None: however long it takes


_DEFAULT = Connections()
# Who is cut off knows it within half a minute, not after hours. In seconds; the last in milliseconds.
_NOTICE_A_DEAD_HOST = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}


def engine_options(url: str, connections: Connections = _DEFAULT, *, pooled: bool = True) -> dict[str, Any]:
    """Arguments of `create_engine` for this database, the same in every process."""
    # Parameters are prompts, and errors are logged.
    options: dict[str, Any] = {"hide_parameters": True, "json_serializer": serialise}
    if make_url(url).get_backend_name() == "sqlite":
        return options | {"connect_args": {"timeout": BUSY_TIMEOUT_SECONDS}}
    options["connect_args"] = {
        "connect_timeout": connections.connect_timeout_seconds,
        "application_name": "paddock",
        **_NOTICE_A_DEAD_HOST,
    }
    if connections.statement_timeout_seconds is not None:
        milliseconds = round(connections.statement_timeout_seconds * 1000)
        options["connect_args"]["options"] = f"-c statement_timeout={milliseconds}"
        options["pool_timeout"] = connections.statement_timeout_seconds
    if not pooled:
        return options
    return options | {
        "pool_pre_ping": True,
        "pool_recycle": connections.recycle_seconds,
        "pool_size": connections.pool_size,
        "max_overflow": connections.pool_overflow,
    }


def prepare_engine(engine: Engine, *, is_cooperative: bool = False) -> Engine:
    """
    Give an engine, whoever made it, our pragmas and transactions.

    Args:
        is_cooperative: Threads here are greenlets. SQLite waits for its write lock inside C,
            where none of them runs (measured beside a busy writer: half a second for a request
            that does not even use the database); so it does not wait, and we ask again and again.
    """
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_pragmas)
        # Its own hook and not the event "begin": where that is listened to, every step of every transaction
        # looks for listeners of its own.
        begin: Any = _PatientBegin() if is_cooperative else _begin
        engine.dialect.do_begin = begin  # type: ignore[method-assign]
    return engine


def _set_pragmas(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun by us, not by the driver
    for pragma in ("journal_mode=WAL", "foreign_keys=ON", f"wal_autocheckpoint={_OWN_CHECKPOINT_PAGES}"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin(connection: PoolProxiedConnection) -> None:
    raw = _prepared_for_writing(connection)
    if raw is not None:
        raw.execute("BEGIN IMMEDIATE").close()


def _prepared_for_writing(connection: PoolProxiedConnection) -> Any:
    """The driver's connection that is to take the write lock; None of one that only reads: it has begun."""
    raw: Any = connection.dbapi_connection
    synchronous = connection.info.get(_SYNCHRONOUS)
    if synchronous is None:
        raw.execute("BEGIN").close()
        return None
    if connection.info.get(_SET) != synchronous:
        raw.execute(f"PRAGMA synchronous={synchronous}").close()
        connection.info[_SET] = synchronous
    return raw


class _PatientBegin:
    """BEGIN that lets other greenlets run while it waits; they take turns in the order they came."""

    def __init__(self) -> None:
        self._turn = threading.Lock()

    def __call__(self, connection: PoolProxiedConnection) -> None:
        raw = _prepared_for_writing(connection)
        if raw is None:
            return
        deadline = time.monotonic() + BUSY_TIMEOUT_SECONDS
        with self._turn:
            raw.execute("PRAGMA busy_timeout=0").close()
            try:
                while not _took_lock(raw, is_last=time.monotonic() > deadline):
                    time.sleep(_ASK_AGAIN_SECONDS)
            finally:
                raw.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_SECONDS * 1000}").close()


def _took_lock(raw: Any, *, is_last: bool) -> bool:
    try:
        raw.execute("BEGIN IMMEDIATE").close()
    except sqlite3.OperationalError as error:
        if is_last or error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
            raise
        return False
    return True


class Database:
    """
    Sessions on one engine.

    Args:
        engine: From `prepare_engine`. One a process: connections don't survive a fork.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._is_sqlite = engine.dialect.name == "sqlite"

    @classmethod
    def connect(cls, url: str, connections: Connections = _DEFAULT, *, pooled: bool = True) -> "Database":
        """A database of its own; `pooled=False` keeps no connection open between uses."""
        options = engine_options(url, connections, pooled=pooled)
        if not pooled:
            options = {**options, "poolclass": NullPool}
        return cls(prepare_engine(create_engine(url, **options)))

    @contextmanager
    def writing(self, *, durable: bool = True) -> Iterator[Session]:
        """
        A transaction that changes something: committed at the end, rolled back on an error.

        Args:
            durable: On the disk when it is committed; False where a power cut may undo it.
        """
        with (
            self._writer(durable) as connection,
            Session(connection, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that only reads."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[Connection]:
        """The same as `writing` for statements that need no session: the ones of `jobs.statements`."""
        with self._writer(durable) as connection, connection.begin():
            yield connection

    @contextmanager
    def rehearsing(self) -> Iterator[Connection]:
        """
        A connection of SQLite's on which statements that write are prepared and then refused.

        Who compiles them and reads the schema for the first time while it holds the write lock holds
        it several times as long.
        """
        with self.engine.connect() as connection:
            raw: Any = connection.connection.dbapi_connection
            raw.execute("PRAGMA query_only=ON").close()
            try:
                yield connection
            finally:
                raw.execute("PRAGMA query_only=OFF").close()

    @contextmanager
    def _writer(self, durable: bool) -> Iterator[Connection]:
        """A connection whose transactions begin with the write lock."""
        with self.engine.connect() as connection:
            info = connection.info
            info[_SYNCHRONOUS] = "FULL" if durable else "NORMAL"
            try:
                yield connection
            finally:
                info.pop(_SYNCHRONOUS, None)  # a connection that broke has forgotten it

    @property
    def clock(self) -> ColumnElement[datetime]:
        """The present in a statement that is built once; its parameter is `at(now)`."""
        given: ColumnElement[datetime] = bindparam("now", type_=Instant)
        return given if self._is_sqlite else func.coalesce(given, self.moment(), type_=Instant)

    def at(self, now: datetime | None) -> dict[str, datetime | None]:
        """The parameter of `clock`; None is the database's own clock."""
        return {"now": utc_now() if now is None and self._is_sqlite else now}

    def moment(self, now: datetime | None = None) -> ColumnElement[datetime]:
        """
        `now` for use in SQL; None is the database's own clock.

        SQLite's clock is this host's. With Postgres, hosts may disagree about the
        time, and a lease must not depend on who looks at it.
        """
        if now is not None or self._is_sqlite:
            return literal(now or utc_now(), Instant)
        return type_coerce(func.extract("epoch", func.clock_timestamp()), Instant)

    def checkpoint(self) -> None:
        """Have everything that is committed on the disk; only SQLite leaves any of it for later."""
        if self._is_sqlite:
            with self.engine.connect() as connection:
                connection.exec_driver_sql("ROLLBACK")  # a checkpoint runs outside of transactions
                connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)").close()

    def close(self) -> None:
        self.engine.dispose()
