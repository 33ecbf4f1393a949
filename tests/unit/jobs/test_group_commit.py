"""One commit for all that wait: everybody gets their own result, and nobody pays for a neighbour."""

import threading
from typing import Any

import pytest
from sqlalchemy import event, insert, select
from sqlalchemy.exc import IntegrityError, OperationalError

from jobs.database import Database
from jobs.group_commit import GroupCommit
from jobs.models import Model
from tests.support.jobs import NOW


def _adding(name: str) -> Any:
    def work(connection: Any) -> str:
        connection.execute(insert(Model).values(name=name, can_complete=True, seen_at=NOW))
        return name

    return work


def _names(database: Database) -> list[str]:
    with database.reading() as session:
        return list(session.execute(select(Model.name).order_by(Model.name)).scalars())


def _run_together(group: GroupCommit, *works: Any, durable: tuple[bool, ...] = ()) -> list[Any]:
    """Run all of it in one batch: they queue up while somebody else has the turn."""
    is_durable = durable or (True,) * len(works)
    outcomes: list[Any] = [None] * len(works)

    def run(place: int) -> None:
        try:
            outcomes[place] = group.run(works[place], durable=is_durable[place])
        except BaseException as error:
            outcomes[place] = error

    threads = [threading.Thread(target=run, args=(place,), daemon=True) for place in range(len(works))]
    with group._turn:
        for place, thread in enumerate(threads):
            thread.start()
            while len(group._waiting) <= place:
                pass
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    return outcomes


@pytest.fixture
def commits(database: Database) -> list[Any]:
    """One entry a commit."""
    found: list[Any] = []
    event.listen(database.engine, "commit", found.append)
    return found


def test_alone_it_is_one_commit(database: Database, commits: list[Any]) -> None:
    """With its own result."""
    assert GroupCommit(database).run(_adding("a")) == "a"
    assert (_names(database), len(commits)) == (["a"], 1)


def test_those_who_wait_share_a_commit(database: Database, commits: list[Any]) -> None:
    """However many they are, and each has its own result."""
    assert _run_together(GroupCommit(database), *map(_adding, "abc")) == ["a", "b", "c"]
    assert (_names(database), len(commits)) == (["a", "b", "c"], 1)


@pytest.mark.parametrize(
    ("durable", "level"), [((False, False), 1), ((False, True), 2), ((True, False), 2), ((True, True), 2)]
)
def test_one_that_has_to_be_on_the_disk_takes_all_along(
    sqlite_database: Database, durable: tuple[bool, ...], level: int
) -> None:
    """SQLite's levels: 1 is NORMAL, 2 is FULL."""

    def read_level(connection: Any) -> int:
        return int(connection.exec_driver_sql("PRAGMA synchronous").scalar_one())

    group = GroupCommit(sqlite_database)
    assert _run_together(group, read_level, read_level, durable=durable) == [level, level]
    assert group.run(read_level) == 2


def test_a_neighbours_error_is_its_own(database: Database) -> None:
    """The others are committed all the same."""
    group = GroupCommit(database)
    group.run(_adding("b"))
    first, second, third = _run_together(group, *map(_adding, "abc"))
    assert (first, third) == ("a", "c")
    assert isinstance(second, IntegrityError)
    assert _names(database) == ["a", "b", "c"]


def test_a_database_that_is_away_is_asked_once(database: Database) -> None:
    """All that share the commit are told: to ask again for each would hold up whoever comes next."""
    asked = []

    def away(_connection: Any) -> None:
        asked.append(1)
        raise OperationalError("INSERT", {}, Exception("away"))

    outcomes = _run_together(GroupCommit(database), away, away, away)
    assert [type(outcome) for outcome in outcomes] == [OperationalError] * 3
    assert len(asked) == 1


def test_who_is_interrupted_leaves_nobody_waiting(database: Database) -> None:
    """A greenlet or thread that is ended in the middle of a commit takes none of the others with it."""

    def interrupted(_connection: Any) -> None:
        raise KeyboardInterrupt

    outcomes = _run_together(GroupCommit(database), _adding("a"), interrupted, _adding("b"))
    assert isinstance(outcomes[1], BaseException)
    assert _names(database) == sorted(name for name in outcomes if isinstance(name, str))
