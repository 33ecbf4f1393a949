"""The core's errors: what they say by themselves, and the names that go into answers."""

import pytest

from jobs import errors
from jobs.errors import JobsError, TooManyRequests

ALL = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, JobsError)]


@pytest.mark.parametrize("kind", [kind for kind in ALL if "__init__" not in vars(kind)])
def test_an_error_says_its_docstring(kind: type[JobsError]) -> None:
    """Or what it is told to say."""
    assert kind().message == str(kind()) == (kind.__doc__ or "").strip()
    assert kind("Something else.").message == "Something else."


def test_every_error_has_a_code_of_its_own() -> None:
    """Callers tell them apart by it."""
    codes = [kind.code for kind in ALL]
    assert len(set(codes)) == len(codes)


def test_the_tree_is_drawn_whole() -> None:
    """The module's docstring names every error."""
    drawn = str(errors.__doc__)
    assert all(kind.__name__ in drawn for kind in ALL)


def test_too_many_requests_say_when_to_come_back() -> None:
    """In seconds."""
    assert TooManyRequests(retry_after_seconds=2.5).retry_after_seconds == 2.5
