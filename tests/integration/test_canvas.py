"""What Celery promises of tasks, kept by jobs."""

import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest
from celery import chain, chord, group
from celery.exceptions import TaskRevokedError
from sqlalchemy import select

from jobs.errors import JobFailed
from jobs.models import Job
from jobs.states import Status
from ollama_client.simulator.answers import expected_text
from settings import get_settings
from tasks import app, embed, generate
from tasks.resources import get_resources
from tests.integration.system import System, eventually

pytestmark = pytest.mark.usefixtures("worker")
ALPHA = {"model": "alpha"}


def answer(prompt: str, model: str = "alpha") -> str:
    return expected_text("generate", model, prompt, 5)


def test_a_group_answers_in_its_order() -> None:
    """The results of a group come in the order of its tasks."""
    results = group(generate.s(f"part {number}", **ALPHA) for number in range(5))().get(timeout=20)
    assert [result["text"] for result in results] == [answer(f"part {number}") for number in range(5)]


def test_a_chain_hands_the_text_on() -> None:
    """The second job's prompt is the first one's answer."""
    result = chain(generate.s("first", **ALPHA), generate.s(model="beta"))()
    assert result.get(timeout=20)["text"] == answer(answer("first"), "beta")


def test_a_chord_sends_its_body_once_with_all_answers(system: System) -> None:
    """The body gets the header's answers in order, and is one job."""
    result = chord([generate.s(f"head {number}", **ALPHA) for number in range(4)])(generate.s(model="beta"))
    prompt = "\n\n".join(answer(f"head {number}") for number in range(4))
    assert result.get(timeout=20)["text"] == answer(prompt, "beta")
    assert system.generated(result.id) == 1


def test_a_chord_whose_part_fails_fails() -> None:
    """A header job that fails ends the chord's body with an error instead of leaving it waiting."""
    parts = [generate.s("well", **ALPHA), generate.s("ill", timeout_seconds=0.000_001, **ALPHA)]
    with pytest.raises(Exception, match="total_timeout"):
        chord(parts)(generate.s(model="beta")).get(timeout=20)


def test_a_chord_with_a_cancelled_part_fails(system: System) -> None:
    """Cancelling a part tells the chord, through the keeper."""
    parts = [generate.s("well", **ALPHA), generate.s("later", **ALPHA).set(countdown=60)]
    result = chord(parts)(generate.s(model="beta"))
    result.parent.results[1].revoke()
    with pytest.raises(Exception, match="cancelled"):
        result.get(timeout=20)


def test_links_run_after_success_and_errbacks_after_failure(system: System) -> None:
    """Each is sent once, as a job of its own with a fixed id."""
    result = generate.apply_async(("linked",), ALPHA, link=generate.s(model="beta"))
    assert result.get(timeout=20)["text"] == answer("linked")

    def linked() -> list[Job]:
        with system.database.reading() as session:
            wanted = select(Job).where(Job.model == "beta", Job.status == Status.COMPLETED)
            return [job for job in session.execute(wanted).scalars() if job.created_at > submitted_at]

    submitted_at = system.job(result.id).created_at
    assert len(eventually(linked)) == 1
    failing = generate.apply_async(
        ("bad",), {**ALPHA, "timeout_seconds": 0.000_001}, link_error=generate.si("condolences", model="beta")
    )
    with pytest.raises(JobFailed):
        failing.get(timeout=20)
    eventually(lambda: len(linked()) == 2)


@pytest.mark.parametrize(
    "delay", [{"countdown": 1.0}, {"eta": datetime.now(UTC) + timedelta(seconds=1)}], ids=["countdown", "eta"]
)
def test_a_delayed_job_waits_in_the_database(system: System, delay: dict[str, object]) -> None:
    """It has no message before its time, and runs soon after."""
    if "eta" in delay:
        delay = {"eta": datetime.now(UTC) + timedelta(seconds=1)}
    result = generate.apply_async(("later",), ALPHA, **delay)
    job = system.job(result.id)
    assert job.not_before is not None
    assert job.publication == 0
    assert result.state == "PENDING"
    result.get(timeout=20)
    started_at = system.job(result.id).started_at
    assert started_at is not None
    assert 1.0 <= (started_at - job.created_at).total_seconds() < 4.0


def test_an_expired_job_does_not_run(system: System) -> None:
    """With `expires`, a job that has not started in time ends as expired, a failure to Celery."""
    result = generate.apply_async(("too late",), ALPHA, countdown=30, expires=0.1)
    eventually(lambda: system.job(result.id).status == Status.EXPIRED)
    assert result.state == "FAILURE"
    assert system.ollama.started(job=result.id) == []


def test_a_task_id_of_ones_own_is_the_job_id_and_means_one_job(system: System) -> None:
    """Submitting twice under one id runs once."""
    first = generate.apply_async(("mine",), ALPHA, task_id="my-own-id")
    second = generate.apply_async(("mine",), ALPHA, task_id="my-own-id")
    assert first.id == second.id == "my-own-id"
    second.get(timeout=20)
    assert system.generated("my-own-id") == 1


def test_revoke_cancels_a_waiting_job_and_spares_a_running_one(system: System) -> None:
    """With terminate it stops the running one as well."""
    system.ollama.control(tokens_per_second=20)
    try:
        running = generate.delay("running", **ALPHA, options={"num_predict": 1000})
        eventually(lambda: running.state == "STARTED")
        waiting = generate.apply_async(("waiting",), ALPHA, countdown=60)
        running.revoke()
        waiting.revoke()
        eventually(lambda: waiting.state == "REVOKED")
        assert running.state == "STARTED"
        running.revoke(terminate=True, signal="KILL")
        eventually(lambda: running.state == "REVOKED")
        eventually(lambda: system.ollama.ended(job=running.id), within=1.0)
        with pytest.raises(TaskRevokedError):
            running.get(timeout=5)
    finally:
        system.ollama.control(tokens_per_second=0)


def test_a_revoked_job_can_be_retried(system: System) -> None:
    """A worker does not remember what was revoked."""
    result = generate.apply_async(("again",), ALPHA, countdown=60)
    result.revoke()
    eventually(lambda: result.state == "REVOKED")
    publication = get_resources().service.retry(result.id)
    assert publication.publication == 1
    eventually(lambda: system.job(result.id).status == Status.COMPLETED, within=15)


def test_a_retried_member_of_a_chain_goes_on_with_the_chain(system: System) -> None:
    """After a failure and a retry the rest of the chain runs."""
    system.ollama.control(fail_next={"kind": "http_500", "count": 3})
    result = chain(generate.s("brittle", **ALPHA), generate.s(model="beta"))()
    eventually(lambda: result.parent.state == "FAILURE", within=20)
    eventually(lambda: result.state == "FAILURE", within=20)
    get_resources().service.retry(result.parent.id)
    # An AsyncResult remembers the failure it has seen.
    eventually(lambda: app.AsyncResult(result.id).state == "SUCCESS", within=20)
    assert app.AsyncResult(result.id).get(timeout=5)["text"] == answer(answer("brittle"), "beta")


def test_states_are_celerys(system: System) -> None:
    """Pending, started and success follow the row."""
    system.ollama.control(tokens_per_second=20)
    try:
        result = generate.delay("states", **ALPHA, options={"num_predict": 10})
        seen = {result.state}
        while not result.ready():
            seen.add(result.state)
            time.sleep(0.01)
    finally:
        system.ollama.control(tokens_per_second=0)
    assert "STARTED" in seen
    assert result.state == "SUCCESS"


def test_a_process_without_our_code_submits(system: System) -> None:
    """Plain Celery with only the broker's address is enough for `send_task`."""
    script = (
        "import sys; from celery import Celery; app = Celery(broker=sys.argv[1]);"
        "app.conf.task_ignore_result = True;"
        "print(app.send_task('tasks.generate', ('from outside',), {'model': 'alpha'}).id)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, get_settings().broker_url],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    )
    job_id = ran.stdout.strip()
    assert app.AsyncResult(job_id).get(timeout=20)["text"] == answer("from outside")


def test_a_wrong_call_by_name_fails_for_its_caller() -> None:
    """Arguments that are no request end as a failure that names them, not in silence."""
    result = app.send_task("tasks.generate", (), {"model": "alpha", "colour": "red"})
    with pytest.raises(Exception, match="colour"):
        result.get(timeout=20)


def test_embeddings_of_a_whole_group() -> None:
    """A chord's body may embed: each answer before it gets its vector."""
    result = chord([generate.s("a", **ALPHA), generate.s("b", **ALPHA)])(embed.s(model="gamma"))
    assert len(result.get(timeout=20)["embeddings"]) == 2
