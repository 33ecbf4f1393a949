"""What children tell their parent."""

from typing import Any

from jobs.answers import EXPIRE_SECONDS, Answers, answer_commands, answers_key
from jobs.round_trips import by_client


def _tell(client: Any, answers: Answers) -> None:
    by_client(client)(answer_commands("w1@gpu", answers))


def test_what_is_told_is_read(redis_client: Any) -> None:
    """By model, the latest of each; what is not told stays."""
    _tell(redis_client, Answers({"alpha:8b": 5.0}, {"alpha:8b": 2.5}))
    _tell(redis_client, Answers({"alpha:8b": 6.0, "beta": 7.0}))
    found = Answers.from_fields(redis_client.hgetall(answers_key("w1@gpu")))
    assert found == Answers({"alpha:8b": 6.0, "beta": 7.0}, {"alpha:8b": 2.5})
    assert 0 < redis_client.ttl(answers_key("w1@gpu")) <= EXPIRE_SECONDS


def test_nothing_told_writes_nothing(redis_client: Any) -> None:
    """Most events have nothing for the parent."""
    _tell(redis_client, Answers())
    assert not redis_client.exists(answers_key("w1@gpu"))
