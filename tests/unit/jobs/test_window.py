"""What is held back, released and taken back, on both databases."""

import threading
from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import select

from jobs.database import Database
from jobs.models import IS_PENDING, Job
from jobs.records import Policy, Publication
from jobs.scheduling.window import Line, Waiting
from jobs.service import JobService
from jobs.statements import SHORT_LINE
from jobs.states import Status
from jobs.window import read_lines, release_next, take_back
from tests.support.jobs import FAILURE, NOW, SECOND, WORKER, claim, row, running, submit

LINE = Line("alpha", "k1", 5)
LINE_UP = 3


@pytest.fixture
def service(database: Database) -> JobService:
    """Three jobs of a key may be lined up."""
    return JobService(database, Policy(line_up=LINE_UP))


def _flood(service: JobService, count: int, **values: object) -> list[str]:
    """Submitted one after the other, a second apart."""
    return [submit(service, now=NOW + number * SECOND, **values) for number in range(count)]


def _lined_up(service: JobService, jobs: list[str]) -> list[str]:
    return [job_id for job_id in jobs if row(service, job_id).released_at is not None]


# --- submitting -------------------------------------------------------------------------------------


def test_what_is_more_than_the_line_up_is_held_back(service: JobService) -> None:
    """Accepted and pending, without a message, a due time or a publication."""
    jobs = _flood(service, 5)
    assert _lined_up(service, jobs) == jobs[:3]
    held = row(service, jobs[3])
    assert (held.status, held.publication, held.due_at, held.published_at) == (Status.PENDING, 0, None, None)


@pytest.mark.parametrize("other", [{"key_id": "k2"}, {"model": "beta"}, {"priority": 4}])
def test_each_line_has_its_own_room(service: JobService, other: dict[str, object]) -> None:
    """Another key, another model, another level."""
    _flood(service, 5)
    assert row(service, submit(service, **other)).released_at == NOW


def test_who_has_jobs_held_back_joins_behind_them(service: JobService) -> None:
    """Room that has become free since is for those that wait longer."""
    jobs = _flood(service, 4)
    claim(service, jobs[0])
    assert row(service, submit(service)).released_at is None


def test_room_is_made_by_a_claim(service: JobService) -> None:
    """With none held back, a submit takes it."""
    jobs = _flood(service, 3)
    claim(service, jobs[0])
    assert row(service, submit(service)).released_at == NOW


def test_a_delayed_job_is_in_no_line(service: JobService) -> None:
    """It is neither lined up nor held back, and nobody waits behind it."""
    _flood(service, 3, delay_seconds=60.0)
    assert read_lines(service.database) == {}
    assert row(service, submit(service)).released_at == NOW


def test_a_claim_says_whether_more_is_held_back(service: JobService) -> None:
    """Of the same key, model and level."""
    jobs = _flood(service, 4)
    submit(service, model="beta")
    submit(service, key_id="k2")
    for other in ({"model": "beta"}, {"key_id": "k2"}, {"priority": 4}):
        assert not running(service, **other).needs_next
    assert claim(service, jobs[0]).needs_next
    release_next(service, LINE)
    claimed = claim(service, jobs[1])
    assert (claimed.needs_next, claimed.priority) == (False, 5)


@pytest.mark.parametrize(("line_up", "needs_next"), [(SHORT_LINE, True), (SHORT_LINE + 2, False)])
def test_a_long_line_is_left_to_the_keeper(service: JobService, line_up: int, needs_next: bool) -> None:
    """It lengthens lines each second; a release with each claim would cost more than the claim."""
    flooded = JobService(service.database, Policy(line_up=line_up))
    jobs = [submit(flooded) for _ in range(line_up + 1)]
    assert row(flooded, jobs[-1]).released_at is None
    assert claim(flooded, jobs[0]).needs_next is needs_next


# --- releasing --------------------------------------------------------------------------------------


def test_the_longest_held_is_released_first(service: JobService) -> None:
    """It ages from its release, not from its submission, and gets its first publication."""
    jobs = _flood(service, 6)
    (publication,) = release_next(service, LINE)
    job = row(service, jobs[3])
    assert job.released_at is not None and job.released_at > NOW + 60 * SECOND
    assert publication == Publication(jobs[3], 1, "tasks.generate", "alpha", "k1", job.due_at, 5)
    assert job.due_at - job.released_at == timedelta(seconds=150)
    assert service.claim(jobs[3], publication=1, worker=WORKER) is not None


def test_those_released_together_keep_their_order(service: JobService) -> None:
    """Whatever their ids."""
    ids = ["z", "y", "x", "d", "c", "b", "a"]
    for number, job_id in enumerate(ids):
        submit(service, job_id=job_id, now=NOW + number * SECOND)
    released = release_next(service, LINE, limit=99, most=99)
    assert [one.job_id for one in sorted(released, key=lambda one: (one.due_at, one.job_id))] == ids[3:]
    assert [one.job_id for one in released] == ids[3:]


def test_no_more_is_released_than_there_is_room_for(service: JobService) -> None:
    """Nothing at all with none."""
    jobs = _flood(service, 8)
    assert release_next(service, LINE, limit=3, most=99) == []
    assert [one.job_id for one in release_next(service, LINE, limit=5, most=99)] == jobs[3:5]
    assert release_next(service, LINE, limit=5, most=99) == []
    assert len(release_next(service, LINE, limit=99, most=2)) == 2
    assert release_next(service, Line("beta", "k1", 5), limit=5) == []


def test_what_ended_while_it_was_held_is_not_released(service: JobService) -> None:
    """A cancelled job has left the backlog."""
    jobs = _flood(service, 5)
    service.cancel(jobs[3], now=NOW)
    assert [one.job_id for one in release_next(service, LINE, most=9)] == [jobs[4]]


# --- taking back ------------------------------------------------------------------------------------


def test_what_is_due_last_is_taken_back(service: JobService) -> None:
    """The messages that were sent about it are void from then on."""
    jobs = _flood(service, 3)
    void = take_back(service, LINE, keep=1)
    assert [(one.job_id, one.publication) for one in void] == [(jobs[1], 1), (jobs[2], 1)]
    assert _lined_up(service, jobs) == [jobs[0]]
    assert service.claim(jobs[1], publication=1, worker=WORKER, now=NOW) is None
    assert read_lines(service.database) == {LINE: Waiting(1, True)}


def test_taking_back_twice_takes_no_more(service: JobService) -> None:
    """A second sweep, or a second keeper, finds the line short enough."""
    jobs = _flood(service, 3)
    assert len(take_back(service, LINE, keep=1)) == 2
    assert take_back(service, LINE, keep=1) == []
    assert _lined_up(service, jobs) == jobs[:1]


def test_what_was_taken_back_is_released_again_first(service: JobService) -> None:
    """Under a third number: neither void message is revived."""
    jobs = _flood(service, 5)
    take_back(service, LINE, keep=1)
    released = release_next(service, LINE, most=9)
    assert [one.job_id for one in released] == jobs[1:]
    assert [one.publication for one in released] == [3, 3, 1, 1]
    assert service.claim(jobs[1], publication=1, worker=WORKER) is None
    assert service.claim(jobs[1], publication=3, worker=WORKER) is not None


def test_a_job_that_runs_or_backs_off_is_not_taken_back(service: JobService) -> None:
    """Only what waits in the queue is in the line."""
    jobs = _flood(service, 3)
    service.fail_attempt(claim(service, jobs[0]), FAILURE, worker=WORKER, now=NOW)
    claim(service, jobs[1])
    assert [one.job_id for one in take_back(service, LINE, keep=0)] == [jobs[2]]
    assert row(service, jobs[0]).not_before is not None


def test_a_batch_is_taken_back_at_a_time(service: JobService) -> None:
    """Short transactions; those due first stay."""
    jobs = _flood(service, 3)
    assert [one.job_id for one in take_back(service, LINE, keep=1, most=1)] == [jobs[1]]
    assert _lined_up(service, jobs) == [jobs[0], jobs[2]]


# --- two at once ------------------------------------------------------------------------------------


def _twice(act: object) -> list[list[Publication]]:
    """Two keepers that both believe that they lead."""
    together, done = threading.Barrier(2), []

    def run() -> None:
        together.wait(10)
        done.append(act())  # type: ignore[operator]

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return done


def test_two_keepers_release_each_job_once(service: JobService) -> None:
    """One publication of each, whoever won."""
    jobs = _flood(service, 9)
    both = _twice(lambda: release_next(service, LINE, most=3))
    released = [one.job_id for publications in both for one in publications]
    assert sorted(released) == sorted(jobs[3:9])
    assert {row(service, job_id).publication for job_id in jobs} == {1}


def test_two_keepers_take_back_no_more_than_one(service: JobService) -> None:
    """What may stay stays."""
    jobs = _flood(service, 3)
    both = _twice(lambda: take_back(service, LINE, keep=1))
    assert sorted(len(publications) for publications in both) == [0, 2]
    assert _lined_up(service, jobs) == jobs[:1]


# --- reading ----------------------------------------------------------------------------------------


def test_lines_are_read_whole(service: JobService) -> None:
    """Also those of which everything is held back."""
    _flood(service, 5)
    _flood(service, 2, key_id="k2")
    _flood(service, 4, model="beta", priority=0)
    take_back(service, Line("beta", "k1", 0), keep=0)
    running(service, key_id="k2")
    running(service, model="gamma")
    assert read_lines(service.database) == {
        LINE: Waiting(3, True),
        Line("alpha", "k2", 5): Waiting(2, False, running=1),
        Line("beta", "k1", 0): Waiting(0, True),
    }
    with service.database.reading() as session:
        states = [
            (Line(job.model, job.key_id, job.priority), job.released_at is not None)
            for job in session.execute(select(Job).where(IS_PENDING)).scalars()
        ]
    assert Counter(states) == {
        (LINE, True): 3,
        (LINE, False): 2,
        (Line("alpha", "k2", 5), True): 2,
        (Line("beta", "k1", 0), False): 4,
    }
