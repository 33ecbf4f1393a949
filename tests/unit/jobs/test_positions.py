"""Where a job stands that is held back; `test_queries.py` has those that are released."""

from datetime import timedelta

import pytest
from sqlalchemy import insert, inspect

from jobs.database import Database
from jobs.models import Job
from jobs.positions import POSITION_CAP, queue_position, queue_positions
from jobs.records import Policy
from jobs.requests import validate_submit
from jobs.scheduling.window import Line
from jobs.service import JobService
from jobs.window import release_next
from tests.support.jobs import NOW, SECOND, row, submit


@pytest.fixture
def service(database: Database) -> JobService:
    """Two jobs of a key may be lined up."""
    return JobService(database, Policy(line_up=2))


def _flood(service: JobService, key_id: str, count: int, **values: object) -> list[str]:
    return [submit(service, key_id=key_id, now=NOW + n * SECOND, **values) for n in range(count)]


def _places(service: JobService, jobs: list[str]) -> list[int | None]:
    with service.database.reading() as session:
        return [queue_position(session.connection(), session.get_one(Job, job_id)) for job_id in jobs]


def test_held_jobs_stand_behind_all_that_is_lined_up(service: JobService) -> None:
    """Then in the order in which their key's jobs are released."""
    jobs = _flood(service, "k1", 5)
    assert _places(service, jobs) == [0, 1, 2, 3, 4]


def test_keys_are_released_side_by_side(service: JobService) -> None:
    """As many jobs of each other key come first as of one's own, if it has so many."""
    many = _flood(service, "k1", 6)
    few = _flood(service, "k2", 3)
    # Lined up are two of each; of k2 one is held back, of k1 four.
    assert _places(service, few)[2] == 4 + 0 + 0
    assert _places(service, many)[2:] == [4 + 0 + 0, 4 + 1 + 1, 4 + 2 + 1, 4 + 3 + 1]


def test_within_a_key_the_urgent_ones_come_first(service: JobService) -> None:
    """Whenever they were submitted."""
    low = _flood(service, "k1", 3, priority=9)
    high = _flood(service, "k1", 3, priority=0)
    assert _places(service, [high[2], low[2]]) == [4, 5]


def test_other_models_have_a_place_of_their_own(service: JobService) -> None:
    """Neither their queue nor their backlog counts."""
    _flood(service, "k1", 5, model="beta")
    assert _places(service, _flood(service, "k1", 3)) == [0, 1, 2]


def test_a_page_has_the_same_places(service: JobService) -> None:
    """Released, held back and delayed ones, of several keys and models."""
    jobs = [
        *_flood(service, "k1", 7, priority=3),
        *_flood(service, "k1", 3),
        *_flood(service, "k2", 4),
        *_flood(service, "k2", 4, model="beta"),
        *_flood(service, "k4", 5),
        *_flood(service, "k3", 2, delay_seconds=60.0),
    ]
    release_next(service, Line("alpha", "k1", 3))
    with service.database.reading() as session:
        found = [session.get_one(Job, job_id) for job_id in jobs]
        page = queue_positions(session, found)
    single = dict(zip(jobs, _places(service, jobs), strict=True))
    assert page == {job_id: place for job_id, place in single.items() if place is not None}
    assert [single[job_id] for job_id in jobs[-2:]] == [None, None]


def test_no_job_stands_before_itself(database: Database) -> None:
    """Whatever becomes of a due time between the database and Python."""
    service = JobService(database, Policy(ageing_seconds=30.1))
    moments = [NOW + timedelta(microseconds=100_003 * number) for number in range(40)]
    jobs = [submit(service, priority=6, now=moment) for moment in moments]
    assert _places(service, jobs) == list(range(40))


def test_a_submit_tells_the_place(service: JobService) -> None:
    """Of a job that is lined up: the very one that a question after it would find."""

    def place(**values: object) -> int | None:
        request = validate_submit({"prompt": "Why?", "priority": values.get("priority", 5)})
        options = {"model": "alpha", "key_id": "k1", "task": "tasks.generate", "now": NOW} | values
        options.pop("priority", None)
        submitted = service.submit(request, **options)  # type: ignore[arg-type]
        if submitted.queue_position is not None:
            assert _places(service, [submitted.job_id]) == [submitted.queue_position]
        return submitted.queue_position

    assert [place(now=NOW + n * SECOND) for n in range(3)] == [0, 1, None]
    assert place(key_id="k2", now=NOW + SECOND) == 2
    assert place(key_id="k2", priority=0) == 0
    assert place(model="beta") == 0
    assert place(key_id="k3", delay_seconds=60.0) is None


def test_places_in_a_backlog_are_counted_up_to_a_cap(service: JobService) -> None:
    """Behind it a place says only that the line is long."""
    lined_up = submit(service, job_id="0000")
    submit(service, job_id="0001")
    pattern = row(service, submit(service, job_id="0002"))
    values = {c.key: getattr(pattern, c.key) for c in inspect(Job).column_attrs}
    jobs = [f"{number:04}" for number in range(3, POSITION_CAP + 5)]
    with service.database.writing() as session:
        session.execute(insert(Job), [values | {"id": job_id} for job_id in jobs])
    assert _places(service, [lined_up, *jobs[-6:]]) == [
        0,
        *range(POSITION_CAP - 1, POSITION_CAP),
        *[1000] * 5,
    ]
