"""`flask --app api models …`, and the limits that `keys create` takes."""

from collections.abc import Callable

import pytest
from click.testing import Result

from jobs.active_model import read_active
from jobs.workers import InstalledModel
from tests.unit.api.conftest import Api


def run(api: Api, *arguments: str) -> Result:
    return api.app.test_cli_runner().invoke(args=[*arguments])


def active(api: Api) -> str | None:
    with api.database.reading() as session:
        return read_active(session)


def test_a_model_is_activated_and_marked(api: Api, report: Callable[..., None]) -> None:
    """The list marks the active model; --default takes the mark away."""
    report(InstalledModel("alpha", 2_000_000_000), InstalledModel("beta", is_loaded=True))
    assert run(api, "models", "activate", "Beta:latest").output == "beta is active\n"
    assert active(api) == "beta"
    listed = run(api, "models", "list").output.splitlines()
    assert listed == ["  alpha  2.0 GB", "* beta  0.0 GB  loaded"]
    assert run(api, "models", "activate", "--default").exit_code == 0
    assert active(api) is None


def test_an_active_model_that_nobody_has_is_told(api: Api) -> None:
    """Without a worker a model can be activated, and the list says that it is not there."""
    run(api, "models", "activate", "gone")
    assert "* gone  not installed" in run(api, "models", "list").output


@pytest.mark.parametrize(
    "arguments", [["nobody"], ["a b"], [], ["alpha", "--default"]], ids=["unknown", "no name", "none", "both"]
)
def test_a_model_that_can_not_be_activated(
    api: Api, report: Callable[..., None], arguments: list[str]
) -> None:
    """What is unknown or unclear is refused in a line, and nothing changes."""
    report(InstalledModel("alpha"))
    result = run(api, "models", "activate", *arguments)
    assert result.exit_code != 0
    assert "Traceback" not in result.output
    assert active(api) is None


def test_a_key_is_made_with_limits(api: Api) -> None:
    """The options become the key's limits."""
    options = ["--priority-ceiling", "high", "--default-priority", "7", "--allowed-model", "alpha"]
    options += ["--allowed-model", "b:latest", "--requests-per-minute", "60", "--max-pending", "5"]
    options += ["--on-disconnect", "continue", "--expires-at", "2100-01-01T00:00:00Z"]
    key = run(api, "keys", "create", "--name", "ci", "--quiet", *options).output.strip()
    caller = api.keys.verify(key)
    assert caller is not None
    limits = caller.limits
    assert (limits.priority_ceiling, limits.default_priority) == (2, 7)
    assert limits.allowed_models == ["alpha", "b"]
    assert (limits.requests_per_minute, limits.max_pending, limits.on_disconnect) == (60, 5, "continue")
    assert limits.expires_at is not None
    assert limits.expires_at.year == 2100


@pytest.mark.parametrize(
    "option", [("--max-pending", "0"), ("--priority-ceiling", "soon"), ("--expires-at", "tomorrow")]
)
def test_a_wrong_limit_is_told_in_a_line(api: Api, option: tuple[str, str]) -> None:
    """A limit that is not possible is named, and no key is made."""
    before = len(api.keys.all())
    result = run(api, "keys", "create", "--name", "ci", *option)
    assert result.exit_code != 0
    assert option[0].removeprefix("--").replace("-", "_") in result.output
    assert len(api.keys.all()) == before


def test_a_key_is_rotated(api: Api) -> None:
    """A rotated key opens beside the old one, and alone without an overlap."""
    first = run(api, "keys", "create", "--name", "ci", "--quiet").output.strip()
    second = run(api, "keys", "rotate", "ci", "--quiet").output.strip()
    assert api.keys.verify(first) is not None
    third = run(api, "keys", "rotate", "ci", "--overlap-hours", "0", "--quiet").output.strip()
    found = [api.keys.verify(key) is not None for key in (first, second, third)]
    assert found == [False, False, True]
    assert "Error" in run(api, "keys", "rotate", "nobody").output
