"""Lists of jobs: the newest first, restricted, a page at a time."""

import base64
import json
from typing import Any

import pytest

from jobs.errors import InvalidRequest
from jobs.listing import JobFilter, list_jobs
from jobs.service import JobService
from jobs.states import Status
from tests.support.jobs import NOW, SECOND, make, submit


def _list(queue: JobService, *, limit: int = 100, **wanted: Any) -> list[str]:
    with queue.database.reading() as session:
        return [job.id for job in list_jobs(session, JobFilter(**wanted), limit=limit)[0]]


def test_jobs_are_listed_newest_first(service: JobService) -> None:
    """By the moment of their submission."""
    old = submit(service)
    new = submit(service, now=NOW + SECOND)
    assert _list(service) == [new, old]


def test_a_list_is_restricted_by_what_is_asked(service: JobService) -> None:
    """By owner, status, model and kind, and all of them together."""
    mine = submit(service, key_id="k1", model="beta")
    submit(service, key_id="k2", model="beta")
    chat = submit(service, key_id="k1", prompt=None, messages=[{"role": "user", "content": "Hi"}])
    done = make(service, Status.COMPLETED, key_id="k1")
    assert _list(service, key_id="k1") == sorted([mine, chat, done], reverse=True)
    assert _list(service, status=Status.COMPLETED) == [done]
    assert _list(service, key_id="k1", model="beta") == [mine]
    assert _list(service, kind="chat") == [chat]
    assert _list(service, key_id="k2", kind="chat") == []


def test_pages_follow_each_other_through_equal_times(service: JobService) -> None:
    """Nothing is shown twice or left out, though many jobs have the same moment."""
    jobs = [submit(service, now=NOW + (n // 4) * SECOND) for n in range(10)]
    seen: list[str] = []
    cursor: str | None = None
    pages = 0
    with service.database.reading() as session:
        while True:
            found, cursor = list_jobs(session, JobFilter(key_id="k1"), limit=3, cursor=cursor)
            seen += [job.id for job in found]
            pages += 1
            if cursor is None:
                break
    assert seen == sorted(jobs, key=jobs.index, reverse=True)
    assert pages == 4


def test_a_last_full_page_has_no_next(service: JobService) -> None:
    """There is a cursor only where something follows."""
    submit(service)
    submit(service)
    with service.database.reading() as session:
        assert list_jobs(session, JobFilter(), limit=2)[1] is None
        assert list_jobs(session, JobFilter(), limit=1)[1] is not None


def _encoded(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        *("", "x", "????", "ä", "bnVsbA", "=" * 4),
        *(_encoded(value) for value in (None, 1, [], ["2026-05-01T12:00:00Z"], ["yesterday", "a"])),
        *(_encoded(value) for value in (["2026-05-01T12:00:00Z", "a", "b"], {"a": 1, "b": 2}, [1, 2])),
        _encoded(["2026-05-01T12:00:00", "naive"]),
        _encoded(["0001-01-01T00:00:00", "naive"]),
    ],
)
def test_a_cursor_that_is_none_of_ours_is_refused(service: JobService, cursor: str) -> None:
    """It is the caller's mistake, and no error of the database."""
    with service.database.reading() as session, pytest.raises(InvalidRequest, match="cursor"):
        list_jobs(session, JobFilter(), limit=1, cursor=cursor)


def test_a_list_is_restricted_by_service_priority_and_time(service: JobService) -> None:
    """Both ends of a span of time are outside of it."""
    jobs = [submit(service, now=NOW + n * SECOND, priority=n, service=f"s{n}") for n in range(3)]
    assert _list(service, service="s1") == [jobs[1]]
    assert _list(service, priority=0) == [jobs[0]]
    assert _list(service, created_after=NOW) == [jobs[2], jobs[1]]
    assert _list(service, created_before=NOW + 2 * SECOND) == [jobs[1], jobs[0]]
    assert _list(service, created_after=NOW, created_before=NOW + 2 * SECOND) == [jobs[1]]


@pytest.mark.parametrize(
    ("name", "value"),
    [("team", "red"), ('a "name"', "b'\\"), ("emoji", "🌱"), ("nul", "\x00"), ("%_", "%"), ("empty", "")],
)
def test_a_list_is_restricted_by_metadata(service: JobService, name: str, value: str) -> None:
    """By the exact name and value, whatever stands beside it and whatever they are made of."""
    wanted = [
        submit(service, metadata=metadata)
        for metadata in ({name: value}, {"x": "y", name: value}, {name: value, "z": "w"})
    ]
    submit(service, metadata={name: value + "x"})
    submit(service, metadata={"x" + name: value})
    submit(service, metadata={"other": f'{name}": "{value}'})
    submit(service)
    assert _list(service, metadata={name: value}) == wanted[::-1]
    assert _list(service, metadata={name: value, "x": "y"}) == [wanted[1]]


def test_metadata_tells_upper_from_lower_case(service: JobService) -> None:
    """On both databases."""
    job_id = submit(service, metadata={"team": "Red"})
    assert _list(service, metadata={"team": "red"}) == []
    assert _list(service, metadata={"Team": "Red"}) == []
    assert _list(service, metadata={"team": "Red"}) == [job_id]
