"""Points in time between Python and the databases."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import literal, select

from jobs.database import Database
from jobs.instants import Instant, isoformat, later

NOON = datetime(2026, 5, 1, 12, 0, 0, 123456, tzinfo=UTC)


@given(st.timedeltas(timedelta(days=-10_000), timedelta(days=40_000)))
def test_an_instant_keeps_its_microseconds(distance: timedelta) -> None:
    """What is stored as seconds comes back the same to the microsecond."""
    kind, moment = Instant(), NOON + distance
    assert kind.process_result_value(kind.process_bind_param(moment, None), None) == moment  # type: ignore[arg-type]


def test_an_instant_makes_the_way_through_a_database(database: Database) -> None:
    """Both databases keep microseconds, and times of other zones come back in UTC."""
    elsewhere = NOON.astimezone(timezone(timedelta(hours=-7)))
    with database.reading() as session:
        found = session.execute(select(literal(elsewhere, Instant))).scalar_one()
    assert found == NOON
    assert found.tzinfo is UTC


def test_later_adds_seconds(database: Database) -> None:
    """Arithmetic with instants is the same on both databases."""
    with database.reading() as session:
        found = session.execute(select(later(literal(NOON, Instant), 1.5))).scalar_one()
    assert found == NOON + timedelta(seconds=1.5)


def test_without_seconds_there_is_nothing_later(database: Database) -> None:
    """A job without a deadline gets none."""
    with database.reading() as session:
        nothing = literal(None, Instant)
        assert session.execute(select(later(literal(NOON, Instant), nothing))).scalar_one() is None


def test_the_databases_clock_runs(database: Database) -> None:
    """Without a given moment it is the database that tells the time, near enough to ours."""
    with database.reading() as session:
        found = session.execute(select(database.moment())).scalar_one()
    assert abs(found - datetime.now(UTC)) < timedelta(seconds=10)


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (NOON, "2026-05-01T12:00:00.123456Z"),
        (NOON.replace(microsecond=0), "2026-05-01T12:00:00.000000Z"),
        (NOON.astimezone(timezone(timedelta(hours=2))), "2026-05-01T12:00:00.123456Z"),
        (None, None),
    ],
)
def test_times_are_written_in_utc_with_a_z(moment: datetime | None, text: str | None) -> None:
    """ISO 8601 with microseconds and Z, whatever the zone."""
    assert isoformat(moment) == text
