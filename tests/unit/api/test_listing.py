"""The list's filters, alone and together, and what they cost."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import text, update
from sqlalchemy.dialects import sqlite

from jobs.listing import JobFilter, list_statement
from jobs.models import Job
from jobs.states import Status
from tests.unit.api.conftest import Api
from tests.unit.api.test_bad_input import assert_problem

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def listed(api: Api, query: str) -> list[str]:
    answer = api.get(f"/api/llm/jobs/?{query}")
    assert answer.status_code == 200, answer.text
    return [job["job_id"] for job in answer.get_json()["jobs"]]


def change(api: Api, job_id: str, **values: Any) -> None:
    with api.database.writing() as session:
        session.execute(update(Job).where(Job.id == job_id).values(**values))


@pytest.fixture
def three(api: Api) -> list[str]:
    """Jobs an hour apart, the first at noon; of different priority and service."""
    made = [api.submit(priority=priority) for priority in ("urgent", 5, 9)]
    for hours, job_id in enumerate(made):
        change(api, job_id, created_at=NOON + timedelta(hours=hours), service=f"service-{hours}")
    return made


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("priority=0", [0]),
        ("priority=urgent", [0]),
        ("priority=batch", [2]),
        ("priority=7", []),
        ("service=service-1", [1]),
        ("service=nothing", []),
        ("created_after=2026-03-01T12:00:00Z", [2, 1]),
        ("created_before=2026-03-01T13:00:00Z", [0]),
        ("created_after=2026-03-01T12:30:00&created_before=2026-03-01T13:30:00.5Z", [1]),
        ("created_after=2026-03-01T13:30:00%2B01:00", [2, 1]),
        ("created_after=2026-03-01T12:30:00Z&priority=9&status=pending&kind=generate&model=alpha", [2]),
        ("created_after=2026-03-01T12:30:00Z&priority=0", []),
    ],
)
def test_filters_restrict_the_list(api: Api, three: list[str], query: str, expected: list[int]) -> None:
    """Priority, service and times restrict the list, and all filters together hold at once."""
    assert listed(api, query) == [three[number] for number in expected]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("team", "red"),
        ("Team", "Red"),
        ("", ""),
        ('q"uote', "b\\ack"),
        ("dots.and spaces", "100%_*"),
        ("ünï", "😀"),
        ("nul", "a\0b"),
        ("apostrophe's", "'"),
    ],
)
def test_metadata_is_compared_to_the_letter(api: Api, name: str, value: str) -> None:
    """A label finds exactly the jobs that have it, whatever characters it is made of."""
    found = api.submit(metadata={"before": "x", name: value, "after": "y"})
    alone = api.submit(metadata={name: value})
    api.submit(metadata={name: value + "x"})
    api.submit(metadata={name: value.swapcase() + "X"})
    api.submit(metadata={"x" + name: value})
    api.submit(metadata={"decoy": json.dumps({name: value}), 'x"' + name: value})
    api.submit()
    assert listed(api, f"metadata.{quote(name)}={quote(value)}") == [alone, found]


def test_several_labels_must_all_be_there(api: Api) -> None:
    """Each `metadata.KEY` restricts further."""
    both = api.submit(metadata={"team": "red", "run": "1"})
    api.submit(metadata={"team": "red", "run": "2"})
    assert listed(api, "metadata.run=1&metadata.team=red") == [both]


def test_a_filtered_list_in_pages(api: Api) -> None:
    """The cursor goes on where the page ended, among the jobs that the filter lets through."""
    made = [api.submit(metadata={"odd": str(number % 2)}) for number in range(7)]
    seen: list[str] = []
    path = "/api/llm/jobs/?metadata.odd=0&limit=2"
    page = api.get(path).get_json()
    seen += [job["job_id"] for job in page["jobs"]]
    while page["next_cursor"]:
        page = api.get(f"{path}&cursor={page['next_cursor']}").get_json()
        seen += [job["job_id"] for job in page["jobs"]]
    assert seen == made[::-2]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("priority=10", "priority"),
        ("priority=soon", "priority"),
        ("created_after=yesterday", "created_after"),
        ("created_before=2026-13-01T00:00:00Z", "created_before"),
        ("created_before=0.5", "created_before"),
        ("service=" + "x" * 65, "service"),
        ("service=%00", "service"),
        ("metadata=x", "metadata"),
        ("metadatateam=red", "metadatateam"),
        ("owner=me&status=pending", "owner"),
    ],
)
def test_a_filter_that_is_wrong_is_named(api: Api, query: str, field: str) -> None:
    """A filter with an impossible value, or that does not exist, gets 422 by its name."""
    problem = assert_problem(api.get(f"/api/llm/jobs/?{query}"), 422, "invalid_request")
    assert list(problem["errors"]) == [field]


@pytest.mark.parametrize(
    "wanted",
    [
        JobFilter(),
        JobFilter(key_id="k"),
        JobFilter(key_id="k", status=Status.PENDING, model="m"),
        JobFilter(model="m", kind="generate", metadata={"a": "b"}),
        JobFilter(service="s", priority=3),
        JobFilter(key_id="k", created_after=NOON, created_before=NOON + timedelta(days=1)),
    ],
)
def test_no_filter_makes_the_database_sort(api: Api, wanted: JobFilter) -> None:
    """Whatever the filter, rows come in the order of an index, so a page costs no more than it shows."""
    statement = list_statement(wanted, limit=10).compile(
        dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}
    )
    with api.database.reading() as session:
        plan = session.execute(text(f"EXPLAIN QUERY PLAN {statement}")).all()
    assert "USING INDEX" in str(plan)
    assert "TEMP B-TREE" not in str(plan)
