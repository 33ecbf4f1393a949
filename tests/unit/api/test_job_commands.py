"""`flask --app api jobs …`."""

import json
import threading
from collections.abc import Callable

import pytest
from click.testing import Result

from jobs.models import Job
from jobs.records import Publication
from jobs.states import Status
from tests.unit.api.conftest import OUTCOME, Api


@pytest.fixture(autouse=True)
def nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.retrying.publish", lambda *_, **__: True)


def run(api: Api, *arguments: str, stdin: str | None = None) -> Result:
    return api.app.test_cli_runner().invoke(args=["jobs", *arguments], input=stdin)


def row(api: Api, job_id: str) -> Job:
    with api.database.reading() as session:
        return session.get_one(Job, job_id)


def test_submitting(api: Api, published: list[Publication]) -> None:
    """A submit prints the id of a job like any other, which is published."""
    result = run(
        api, "submit", "Why?", "--model", "Alpha:latest", "--priority", "urgent", "--system", "Be brief."
    )
    job = row(api, result.output.strip())
    assert (job.model, job.priority, job.key_id, job.task) == ("alpha", 0, "local", "tasks.generate")
    assert [found.job_id for found in published] == [job.id]


def test_a_prompt_from_the_standard_input(api: Api) -> None:
    """A dash as PROMPT reads it from there, whatever is in it."""
    job_id = run(api, "submit", "-", "--model", "alpha", stdin="a $PATH\n'b'").output.strip()
    assert json.loads(run(api, "show", job_id).output)["input"] == {"prompt": "a $PATH\n'b'"}


def test_a_submitted_job_is_the_key_s(make_api: Callable[..., Api]) -> None:
    """With PADDOCK_API_KEY the job is that key's, and a wrong key is told."""
    api = make_api()
    api = make_api(api_key=api.keys.create("operator"))
    job_id = run(api, "submit", "Why?", "--model", "alpha").output.strip()
    names = {key.id: key.name for key in api.keys.all()}
    assert names[row(api, job_id).key_id] == "operator"
    wrong = run(make_api(api_key="pdk_wrong"), "submit", "Why?", "--model", "alpha")
    assert (wrong.exit_code, "PADDOCK_API_KEY" in wrong.output) == (1, True)


@pytest.mark.parametrize(
    "arguments", [("submit", ""), ("submit", "x", "--priority", "12"), ("submit", "x", "--model", "a b")]
)
def test_a_wrong_submit_is_told_in_a_line(api: Api, arguments: tuple[str, ...]) -> None:
    """What the API would refuse is refused in one line."""
    result = run(api, *arguments)
    assert result.exit_code == 1
    assert len(result.output.splitlines()) == 1


def test_everybody_s_jobs_are_listed(api: Api) -> None:
    """The list has all keys' jobs, newest first, and no prompts; filters restrict it."""
    made = [api.submit(prompt="secretword"), api.submit(model="beta"), api.submit(key=api.keys.create("x"))]
    listed = run(api, "list").output
    assert [line.split()[0] for line in listed.splitlines()[1:]] == made[::-1]
    assert "secretword" not in listed
    assert made[1] in run(api, "list", "--model", "BETA").output
    assert made[0] not in run(api, "list", "--limit", "2", "--status", "pending").output
    assert len(run(api, "list", "--status", "failed").output.splitlines()) == 1


def test_a_job_to_its_end(make_api: Callable[..., Api]) -> None:
    """Watching tells each change of the job, and at last its answer."""
    api = make_api(poll_seconds=0.05)
    job_id = api.submit()
    claimed = []
    threading.Timer(0.3, lambda: claimed.append(api.claim(job_id))).start()
    finishing = threading.Timer(0.6, lambda: api.service.finish(job_id, claimed[0].claim, OUTCOME))
    finishing.start()
    result = run(api, "watch", job_id)
    finishing.join()
    assert result.exit_code == 0
    assert result.stdout == "It scatters.\n"
    said = result.stderr.splitlines()
    assert (said[0], said[-1]) == ("pending, 0 ahead", "completed")
    assert any(line.startswith("processing on w1") for line in said)


def test_watching_a_job_that_fails(api: Api) -> None:
    """The reason is told, and the exit status says so too."""
    job_id = api.submit()
    api.fail(job_id)
    result = run(api, "watch", job_id)
    assert result.exit_code == 1
    assert "It broke." in result.stderr


def test_submit_and_watch_a_job_that_is_cancelled(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """--watch follows the submitted job at once."""

    def cancel(_seconds: float) -> None:
        run(api, "cancel", job_ids[-1])

    job_ids: list[str] = []
    monkeypatch.setattr(
        "tasks.job_task.publish",
        lambda _client, publications, **_: job_ids.extend(each.job_id for each in publications),
    )
    monkeypatch.setattr("api.job_commands.time.sleep", cancel)
    result = run(api, "submit", "Why?", "--model", "alpha", "--watch")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "The job was cancelled." in result.stderr


def test_cancel_and_retry(api: Api) -> None:
    """A job is cancelled and run again; what can't be done is told in one line."""
    job_id = api.submit()
    assert "cancelled" in run(api, "cancel", job_id).output
    assert row(api, job_id).status == Status.CANCELLED
    assert run(api, "cancel", job_id).exit_code == 1
    assert "pending again" in run(api, "retry", job_id).output
    assert run(api, "retry", job_id).output == "Error: The job is pending.\n"
    assert run(api, "show", "no-such-job").output == "Error: There is no job no-such-job.\n"


def test_purging(api: Api) -> None:
    """Ended jobs are deleted after the time that is given, else after the retention time; others stay."""
    ended, pending = api.submit(), api.submit()
    api.complete(ended)
    assert run(api, "purge").output == "deleted 0\n"
    assert run(api, "purge", "--older-than-days", "0").output == "deleted 1\n"
    assert api.get(f"/api/llm/jobs/{ended}/").status_code == 404
    assert row(api, pending).status == Status.PENDING


def test_moving(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pending job gets another priority; what can't be is told in one line."""
    sent: list[Publication] = []
    monkeypatch.setattr("tasks.moving.publish", lambda _client, publications, **_: sent.extend(publications))
    job_id = api.submit()
    assert run(api, "priority", job_id, "urgent").output == f"{job_id} has priority 0\n"
    assert (row(api, job_id).priority, [publication.publication for publication in sent]) == (0, [2])
    assert "must be 0" in run(api, "priority", job_id, "12").output
    api.service.cancel(job_id)
    assert run(api, "priority", job_id, "9").output == "Error: The job is cancelled.\n"


def test_the_history_is_drawn(api: Api) -> None:
    """A bar to scale and a line for each moment, without the prompt."""
    job_id = api.submit(prompt="secretword")
    api.fail(job_id)
    lines = run(api, "history", job_id).output.splitlines()
    assert job_id in lines[0]
    assert {"░", "█"} & set(lines[1])
    told = [line.split(" s  ", 1)[1] for line in lines[3:]]
    assert told == [
        *("submitted", "released", "published, message 1", "claimed by w1, run 1"),
        *("attempt failed: boom: It broke.", "failed: boom: It broke."),
    ]
    assert "secretword" not in "".join(lines)
    assert run(api, "history", "nobody").exit_code == 1
