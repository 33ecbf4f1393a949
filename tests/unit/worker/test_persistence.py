"""Work that outlasts a database that is away."""

from collections.abc import Callable

import pytest
from sqlalchemy.exc import InterfaceError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from worker import persistence
from worker.persistence import persist


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits are off."""
    monkeypatch.setattr(persistence, "wait_exponential", lambda **_: lambda _state: 0)


def _flaky(*failures: Exception) -> tuple[Callable[[], str], list[Exception]]:
    left = list(failures)

    def action() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return action, left


def test_what_works_is_done_once() -> None:
    """And its value comes back."""
    assert persist(lambda: "done") == "done"


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("UPDATE", {}, Exception("locked")),
        InterfaceError("UPDATE", {}, Exception("gone")),
        PoolTimeout(),
    ],
)
def test_a_database_that_is_away_is_waited_for(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    """However often it takes; the log says so once."""
    action, left = _flaky(*[error] * 20)
    assert persist(action) == "done"
    assert left == []
    assert caplog.text.count("does not answer") == 1


@pytest.mark.parametrize("error", [ProgrammingError("UPDATE", {}, Exception("no column")), ValueError()])
def test_a_mistake_is_not_repeated(error: Exception) -> None:
    """It would never end."""
    action, left = _flaky(error, error)
    with pytest.raises(type(error)):
        persist(action)
    assert len(left) == 1
