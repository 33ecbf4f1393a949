"""Submitting: the row that a request becomes."""

import uuid
from datetime import timedelta

from jobs.requests import validate_submit
from jobs.service import JobService
from jobs.states import Status
from tests.support.jobs import NOW, SECOND, payload, row, submit


def test_a_submitted_job_waits(service: JobService) -> None:
    """A new job is pending, released, and has neither run nor ended."""
    job = row(service, submit(service))
    assert (job.status, job.claim, job.attempts, job.publication) == (Status.PENDING, 0, 0, 1)
    assert (job.created_at, job.released_at, job.published_at) == (NOW, NOW, NOW)
    assert (job.not_before, job.deadline_at, job.lease_until, job.worker) == (None, None, None, None)
    assert (job.started_at, job.completed_at, job.error_code, job.error_message) == (None, None, None, None)
    assert (job.has_successors, job.successors_pending) == (False, False)


def test_the_row_keeps_what_was_asked(service: JobService) -> None:
    """Every attribute of the request is found again."""
    job_id = submit(
        service,
        model="beta:7b",
        key_id="k9",
        service="recommendations",
        priority="high",
        timeout_seconds=12.5,
        metadata={"question": "ä"},
        options={"seed": 1},
        system="Be brief.",
        canvas={"link": [{"task": "t"}]},
        has_successors=True,
    )
    job = row(service, job_id)
    assert (job.task, job.kind, job.service) == ("tasks.generate", "generate", "recommendations")
    assert (job.model, job.key_id, job.priority) == ("beta:7b", "k9", 2)
    assert (job.timeout_seconds, job.labels, job.has_successors) == (12.5, {"question": "ä"}, True)
    kept = payload(service, job_id)
    assert kept.input == {"prompt": "Why?", "system": "Be brief.", "options": {"seed": 1}}
    assert kept.canvas == {"link": [{"task": "t"}]}


def test_any_text_is_kept_as_it_was(service: JobService) -> None:
    """Emoji, quotes, backslashes and half a surrogate pair come back; nothing is interpreted."""
    prompt = "'; DROP TABLE jobs; -- \\u0041 \\ \" % :name 🌱\n\u200f"
    assert payload(service, submit(service, prompt=prompt)).input == {"prompt": prompt}


def test_ids_are_uuids_that_grow(service: JobService) -> None:
    """An id that the service makes is a UUID of version 7, so later jobs sort later."""
    first, second = submit(service), submit(service)
    assert uuid.UUID(first).version == uuid.UUID(second).version == 7
    assert first < second


def test_a_job_is_due_later_the_less_urgent_it_is(service: JobService) -> None:
    """Each level costs AGEING_SECONDS."""
    for priority in (0, 5, 9):
        job = row(service, submit(service, priority=priority))
        assert job.due_at == NOW + priority * timedelta(seconds=30)


def test_the_publication_says_where_to_look(service: JobService) -> None:
    """The message has the id, its number, the model, when the job is due and its priority: nothing else."""
    request = validate_submit({"prompt": "Why?", "priority": 1})
    made = service.submit(request, model="alpha", key_id="k1", task="tasks.generate", job_id="j1", now=NOW)
    assert made.job_id == "j1"
    publication = made.publication
    assert publication is not None
    assert vars(publication) == {
        "job_id": "j1",
        "publication": 1,
        "task": "tasks.generate",
        "model": "alpha",
        "key_id": "k1",
        "due_at": NOW + 30 * SECOND,
        "priority": 1,
    }


def test_an_id_that_exists_is_left_as_it_is(service: JobService) -> None:
    """A submission that is repeated is one job, the first, and nothing is published again."""
    submit(service, job_id="j1", prompt="The first.")
    request = validate_submit({"prompt": "The second."})
    made = service.submit(request, model="beta", key_id="k2", task="tasks.generate", job_id="j1", now=NOW)
    assert (made.job_id, made.publication) == ("j1", None)
    assert (row(service, "j1").model, row(service, "j1").key_id) == ("alpha", "k1")
    assert payload(service, "j1").input == {"prompt": "The first."}


def test_an_id_that_exists_is_left_when_the_second_is_delayed(service: JobService) -> None:
    """The same for a submission with a countdown."""
    submit(service, job_id="j1")
    submit(service, job_id="j1", delay_seconds=60.0)
    assert (row(service, "j1").not_before, row(service, "j1").publication) == (None, 1)


def test_a_delayed_job_is_not_released(service: JobService) -> None:
    """It has no due time and no message until its moment comes."""
    request = validate_submit({"prompt": "Why?"})
    made = service.submit(
        request, model="alpha", key_id="k1", task="tasks.generate", delay_seconds=60.0, now=NOW
    )
    assert made.publication is None
    job = row(service, made.job_id)
    assert (job.status, job.not_before) == (Status.PENDING, NOW + 60 * SECOND)
    assert (job.released_at, job.due_at, job.published_at, job.publication) == (None, None, None, 0)


def test_a_delay_that_is_over_is_none(service: JobService) -> None:
    """An ETA in the past means now."""
    assert row(service, submit(service, delay_seconds=-5.0)).released_at == NOW


def test_a_deadline_counts_from_the_submission(service: JobService) -> None:
    """`deadline_seconds` becomes a moment."""
    assert row(service, submit(service, deadline_seconds=90.0)).deadline_at == NOW + 90 * SECOND


def test_without_a_given_moment_the_databases_clock_counts(service: JobService) -> None:
    """The product hands in no time."""
    first = row(service, submit(service, now=None))
    second = row(service, submit(service, now=None))
    assert first.created_at < second.created_at
    assert first.released_at is not None
    assert abs(first.released_at - first.created_at) < SECOND
