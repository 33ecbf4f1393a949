"""Hears what is asked of a database, at the driver's cursor: whoever sends it, SQLAlchemy or we ourselves."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import PoolProxiedConnection
from sqlalchemy.pool.base import _ConnectionFairy

Note = Callable[[Any, str, Any], None]


class _Heard:
    """A cursor that tells first."""

    def __init__(self, cursor: Any, note: Note) -> None:
        self._cursor = cursor
        self._note = note

    def execute(self, statement: str, parameters: Any = ()) -> Any:
        self._note(self._cursor, statement, parameters)
        return self._cursor.execute(statement, parameters)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._cursor)


@contextmanager
def statements_heard(note: Note) -> Iterator[None]:
    """Call `note` with the driver's cursor, the statement and its parameters, before each is sent."""
    make = _ConnectionFairy.cursor

    def cursor(connection: PoolProxiedConnection | DBAPIConnection, *args: Any, **options: Any) -> Any:
        return _Heard(make(connection, *args, **options), note)  # type: ignore[arg-type]

    _ConnectionFairy.cursor = cursor  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        _ConnectionFairy.cursor = make  # type: ignore[method-assign]
