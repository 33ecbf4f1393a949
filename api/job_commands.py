"""`flask --app api jobs …`: jobs on the operator's command line, which sees everybody's."""

import json
import sys
import time
from datetime import UTC, datetime

import click
from flask.cli import AppGroup
from sqlalchemy.orm import Session

from api.command_errors import told_in_one_line
from api.configuration import current_settings
from api.database import get_database
from api.late import get_resources, task_of
from api.rendering import render_job, render_whole
from api.schemas import JobAnswer
from api.tables import print_table
from api.timeline import draw_timeline
from api.why import explain_wait
from jobs.errors import JobNotFound
from jobs.history import read_history
from jobs.housekeeping import purge_completed
from jobs.keys import LOCAL_KEY_ID, KeyService
from jobs.listing import JobFilter, list_jobs
from jobs.model_names import normalise_model
from jobs.models import Job
from jobs.positions import queue_position
from jobs.queries import JobView, find_job, view_job
from jobs.requests import parse_priority, validate_submit
from jobs.results import text_of
from jobs.states import Status
from var_files import ADMIN_KEY_FILE

DAY_SECONDS = 24 * 3600.0

jobs = AppGroup("jobs", help="Jobs: submit, show, why, history, list, watch, priority, cancel, retry, purge.")


@jobs.command()
@click.argument("prompt")
@click.option("--model", help="Unset: the default model.")
@click.option("--system", help="What the model is told about its work.")
@click.option("--priority", default="normal", show_default=True, help="0 (most urgent) to 9, or a name.")
@click.option("--watch", "watches", is_flag=True, help="Follow it, and print the answer.")
def submit(prompt: str, model: str | None, system: str | None, priority: str, watches: bool) -> None:
    """Submit PROMPT ("-" reads it from the standard input) and print the job's id."""
    level: int | str = int(priority) if priority.isdecimal() else priority
    given = {"prompt": _read(prompt), "model": model, "system": system, "priority": level}
    with told_in_one_line():
        request = validate_submit({name: value for name, value in given.items() if value is not None})
        job_id = task_of(request.resolved_kind).submit(request, key_id=_owner()).job_id
        click.echo(job_id, err=watches)
        if watches:
            _follow(job_id)


@jobs.command()
@click.argument("job_id")
def show(job_id: str) -> None:
    """The whole job as JSON, as the API answers it."""
    with told_in_one_line():
        click.echo(json.dumps(render_whole(_view(job_id, whole=True)).model_dump(mode="json"), indent=2))


@jobs.command()
@click.argument("job_id")
def history(job_id: str) -> None:
    """What has happened to a job, drawn to scale and told."""
    with told_in_one_line(), get_database().reading() as session:
        job = _find(session, job_id)
        click.echo(f"{job.id}  {job.task}  {job.model}  {job.status}")
        for line in draw_timeline(read_history(session, job), datetime.now(UTC)):
            click.echo(line)


@jobs.command()
@click.argument("job_id")
def why(job_id: str) -> None:
    """What a job waits for, and for how long."""
    with told_in_one_line():
        with get_database().reading() as session:
            job = _find(session, job_id)
            position = queue_position(session.connection(), job)
        answer = explain_wait(job, position)
    wait = answer.estimated_wait
    if wait.seconds is not None:
        click.echo(f"starts in about {wait.seconds:.1f} s ({wait.low:.1f} to {wait.high:.1f} s)")
    elif wait.low is not None:
        click.echo(f"starts in {wait.low:.1f} s at the earliest")
    for reason in answer.reasons:
        click.echo(f"{reason.code}: {reason.message}")


@jobs.command("list")
@click.option("--status", type=click.Choice([status.value for status in Status]))
@click.option("--model")
@click.option("--service")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
def list_newest(status: str | None, model: str | None, service: str | None, limit: int) -> None:
    """The newest jobs, everybody's."""
    with told_in_one_line():
        wanted = JobFilter(
            status=Status(status) if status else None,
            model=normalise_model(model) if model else None,
            service=service,
        )
        with get_database().reading() as session:
            found, _ = list_jobs(session, wanted, limit=limit)
    rows = [("ID", "STATUS", "TASK", "MODEL", "PRIORITY", "CREATED")]
    rows += [
        (job.id, job.status, job.service or job.kind, job.model, str(job.priority), _second(job.created_at))
        for job in found
    ]
    print_table(rows)


@jobs.command()
@click.argument("job_id")
def watch(job_id: str) -> None:
    """Follow a job to its end and print its answer; exit status 1 when it did not complete."""
    with told_in_one_line():
        _follow(job_id)


@jobs.command()
@click.argument("job_id")
@click.argument("level")
def priority(job_id: str, level: str) -> None:
    """Give a pending job another priority: 0 (most urgent) to 9, or a name."""
    from tasks.moving import move_job

    with told_in_one_line():
        try:
            number = parse_priority(int(level) if level.isdecimal() else level)
        except ValueError as error:
            raise click.ClickException(f"priority: {error}") from None
        move_job(job_id, number)
    click.echo(f"{job_id} has priority {number}")


@jobs.command()
@click.argument("job_id")
def cancel(job_id: str) -> None:
    """Cancel a job; a running generation stops within a second."""
    from tasks.cancelling import cancel_job

    with told_in_one_line():
        cancel_job(job_id)
    click.echo(f"{job_id} is cancelled")


@jobs.command()
@click.argument("job_id")
def retry(job_id: str) -> None:
    """Run a failed, expired or cancelled job again."""
    from tasks.retrying import retry_job

    with told_in_one_line():
        retry_job(job_id)
    click.echo(f"{job_id} is pending again")


@jobs.command()
@click.option("--older-than-days", type=click.FloatRange(min=0), help="Unset: PADDOCK_RETENTION_DAYS.")
def purge(older_than_days: float | None) -> None:
    """Delete jobs that ended longer ago, with their prompts and answers; others stay."""
    days = current_settings().retention_days if older_than_days is None else older_than_days
    deleted = 0
    with told_in_one_line():
        while batch := purge_completed(get_resources().service, older_than_seconds=days * DAY_SECONDS):
            deleted += batch
    click.echo(f"deleted {deleted}")


def _read(prompt: str) -> str:
    return sys.stdin.read() if prompt == "-" else prompt


def _owner() -> str:
    """The id of the key PADDOCK_API_KEY, else of `var/admin.key`; without one, the job is the local key's."""
    settings = current_settings()
    keys = KeyService(get_database())
    if settings.api_key is not None:
        found = keys.verify(settings.api_key)
        if found is None:
            raise click.ClickException("the key in PADDOCK_API_KEY is unknown, expired or revoked")
        return found.key_id
    try:
        found = keys.verify((settings.var_dir / ADMIN_KEY_FILE).read_text(encoding="utf-8").strip())
    except OSError:
        found = None
    return LOCAL_KEY_ID if found is None else found.key_id


def _view(job_id: str, *, whole: bool = False) -> JobView:
    with get_database().reading() as session:
        return view_job(session, _find(session, job_id), whole=whole)


def _find(session: Session, job_id: str) -> Job:
    job = find_job(session, job_id) if job_id.isprintable() else None
    if job is None:
        raise JobNotFound(f"There is no job {job_id}.")
    return job


def _follow(job_id: str) -> None:
    """Progress goes to the error stream, so that the answer alone can be piped on."""
    said = ""
    while True:
        job = render_job(_view(job_id))
        progress = _progress(job)
        if progress != said:
            click.echo(progress, err=True)
            said = progress
        if job.is_complete:
            break
        time.sleep(current_settings().poll_seconds)
    if job.status is not Status.COMPLETED:
        raise click.ClickException(job.error.message if job.error else f"the job is {job.status}")
    text = text_of(job.result_data)
    click.echo(text or json.dumps(job.result_data))


def _progress(job: JobAnswer) -> str:
    if job.status is Status.PENDING and job.queue_position is not None:
        return f"{job.status}, {job.queue_position} ahead"
    if job.status is Status.PROCESSING and job.started_at is not None:
        seconds = (datetime.now(UTC) - job.started_at).total_seconds()
        return f"{job.status} on {job.worker} for {max(0, seconds):.0f} s"
    return str(job.status)


def _second(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%SZ")
