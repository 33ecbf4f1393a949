"""Messages of jobs that were taken back leave the queue, and nothing else moves."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from jobs.instants import utc_now
from jobs.records import Publication
from jobs.round_trips import by_client
from tasks.publishing import publish
from tasks.queue_lists import count_lined_up, list_names, queue_name
from tasks.withdrawing import withdraw
from tests.support.jobs import SECOND


def _publication(number: int, key_id: str = "k1", *, level: int = 5, model: str = "alpha") -> Publication:
    due = utc_now() + timedelta(seconds=level * 30 - 1) + number * SECOND / 10_000
    return Publication(f"job-{number}-{key_id}", 1, "tasks.generate", model, key_id, due, level)


def _publish(redis_client: Any, publications: list[Publication]) -> None:
    assert publish(by_client(redis_client), publications, ageing_seconds=30.0)


def _messages(redis_client: Any) -> dict[str, list[str]]:
    return {name: redis_client.lrange(name, 0, -1) for name in list_names(queue_name("alpha"))}


def test_only_what_was_taken_back_leaves(redis_client: Any) -> None:
    """From whatever level; the others keep their order."""
    jobs = [_publication(n, key, level=level) for n in range(3) for key in ("k1", "k2") for level in (5, 4)]
    jobs = [replace(one, job_id=f"{one.job_id}-{rank}") for rank, one in enumerate(jobs)]
    _publish(redis_client, jobs)
    before = _messages(redis_client)
    void = [one for one in jobs if one.key_id == "k1"][1:]
    assert withdraw(redis_client, void) == len(void)
    gone = {one.job_id for one in void}
    assert _messages(redis_client) == {
        name: [text for text in texts if not any(f'"id": "{job_id}"' in text for job_id in gone)]
        for name, texts in before.items()
    }


def test_a_newer_message_of_the_job_stays(redis_client: Any) -> None:
    """It may have been released again meanwhile."""
    job = _publication(1)
    _publish(redis_client, [job, replace(job, publication=3)])
    assert withdraw(redis_client, [job]) == 1
    assert count_lined_up(redis_client, ["alpha"]) == {"alpha": {5: 1}}
    assert '"publication": 3' in redis_client.lrange(list_names("ollama.alpha")[5], 0, -1)[0]


def test_messages_that_are_gone_are_no_error(redis_client: Any) -> None:
    """A worker was quicker, or Redis was flushed; nothing to withdraw asks nothing."""
    assert withdraw(redis_client, [_publication(1)]) == 0
    assert withdraw(redis_client, []) == 0


def test_a_long_list_is_written_anew(redis_client: Any) -> None:
    """With every second message of some thousands gone, the others are in their order."""
    jobs = [_publication(number) for number in range(3000)]
    _publish(redis_client, jobs)
    assert withdraw(redis_client, jobs[::2]) == 1500
    kept = redis_client.lrange(list_names("ollama.alpha")[5], 0, -1)
    assert [text.split('"id": "')[1].split('"')[0] for text in reversed(kept)] == [
        one.job_id for one in jobs[1::2]
    ]


def test_what_is_no_message_of_ours_stays(redis_client: Any) -> None:
    """Somebody else's text has no id to go by."""
    redis_client.lpush("ollama.alpha", "not a message")
    _publish(redis_client, [_publication(1, level=0)])
    assert withdraw(redis_client, [_publication(1, level=0)]) == 1
    assert redis_client.lrange("ollama.alpha", 0, -1) == ["not a message"]
