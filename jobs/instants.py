"""
Points in time: aware UTC datetimes in Python, seconds since the epoch in the database.

A number rather than a timestamp column, so that "lease_until < now + 5" is the
same arithmetic on SQLite and Postgres. Both keep microseconds.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Double, Float, literal, select, type_coerce
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.operators import OperatorType
from sqlalchemy.types import TypeDecorator, TypeEngine

HOUR_SECONDS = 3600.0


class Instant(TypeDecorator[datetime]):
    """An aware datetime, stored as seconds since the epoch (double)."""

    impl = Double
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> float | None:
        return None if value is None else value.timestamp()

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else datetime.fromtimestamp(float(value), UTC)

    def coerce_compared_value(self, op: OperatorType | None, value: Any) -> TypeEngine[Any]:
        """A datetime beside an instant is an instant; a number is seconds."""
        return Float() if isinstance(value, int | float) else self


def utc_now() -> datetime:
    return datetime.now(UTC)


def later(instant: ColumnElement[datetime], seconds: float | ColumnElement[float]) -> ColumnElement[datetime]:
    """The SQL expression for `seconds` after `instant`; NULL seconds give NULL."""
    span = seconds if isinstance(seconds, ColumnElement) else literal(seconds, Double)
    return type_coerce(instant + span, Instant)


def earlier(instant: ColumnElement[datetime], seconds: float) -> ColumnElement[datetime]:
    """
    The SQL expression for `seconds` before `instant`, to compare an indexed column with.

    As a subquery: Postgres reads its clock anew for every row that a comparison looks at,
    and uses no index for it.
    """
    return select(later(instant, -seconds)).scalar_subquery()


def isoformat(value: datetime | None) -> str | None:
    """ISO 8601 in UTC with `Z`, to the microsecond; None stays None."""
    if value is None:
        return None
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
