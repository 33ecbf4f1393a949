"""`flask --app api queues …`."""

from collections.abc import Callable

from click.testing import Result

from jobs.pauses import paused_models
from jobs.workers import InstalledModel
from tasks import resources
from tests.unit.api.conftest import Api


def expire_catalog() -> None:
    """Let the next look at the workers be a fresh one."""
    resources.get_resources().__dict__.pop("catalog", None)


def run(api: Api, *arguments: str, stdin: str | None = None) -> Result:
    return api.app.test_cli_runner().invoke(args=["queues", *arguments], input=stdin)


def test_all_queues_are_shown(api: Api, report: Callable[..., None]) -> None:
    """One line each, with what an operator looks for first."""
    api.submit(model="hf.co/a/b:c")
    expire_catalog()
    report(InstalledModel("alpha"))
    api.submit(priority=0)
    head, alpha, other = run(api, "show").output.splitlines()
    assert head.split()[:2] == ["MODEL", "PENDING"]
    assert alpha.split() == ["alpha", "1", "0", "0", "0", "s", "0", "1", "open"]
    assert other.split() == ["hf.co/a/b:c", "1", "0", "0", "0", "s", "0", "0", "no", "worker"]


def test_one_queue_is_shown_with_its_levels(api: Api) -> None:
    """The most urgent first."""
    for priority in (9, 0, 9):
        api.submit(priority=priority)
    api.submit(model="beta")
    lines = [line.split() for line in run(api, "show", "Alpha:latest").output.splitlines()]
    assert [line[0] for line in lines if line] == ["MODEL", "alpha", "PRIORITY", "0", "9"]
    assert lines[-2:] == [["0", "1", "0"], ["9", "2", "0"]]


def test_pause_and_resume(api: Api) -> None:
    """By the name as people write it."""
    client = resources.get_resources().redis
    assert run(api, "pause", "Alpha:latest").output == "alpha is paused\n"
    assert paused_models(client) == {"alpha"}
    assert run(api, "show").output.splitlines()[1].split()[-1] == "paused"
    assert run(api, "resume", "alpha").output == "alpha goes on\n"
    assert paused_models(client) == set()


def test_clearing_asks_first(api: Api) -> None:
    """Only a yes cancels."""
    job_id = api.submit()
    assert run(api, "clear", "alpha", stdin="n\n").exit_code == 1
    assert api.get(f"/api/llm/jobs/{job_id}/").get_json()["status"] == "pending"
    assert run(api, "clear", "alpha", "--yes").output == "alpha: cancelled 1\n"
    assert api.get(f"/api/llm/jobs/{job_id}/").get_json()["status"] == "cancelled"


def test_what_is_no_model_is_told_in_a_line(api: Api) -> None:
    """Whatever is asked of it."""
    for command in (("show", "a b"), ("pause", "a b"), ("resume", "a b"), ("clear", "a b", "--yes")):
        result = run(api, *command)
        assert (result.exit_code, len(result.output.splitlines())) == (1, 1), command
