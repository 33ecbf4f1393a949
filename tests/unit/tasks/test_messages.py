"""The message about a job against the one that Celery itself sends."""

import json
from datetime import timedelta
from typing import Any

from celery import Celery

from jobs.instants import isoformat, utc_now
from jobs.records import Publication
from tasks.messages import make_message
from tasks.queue_lists import list_names

QUEUE = "ollama.alpha:8b"
LEVEL = 4
# Made anew for each message, or a thread's: an answer's address, which our back end has no use for.
# Celery's publisher also copies what it was called with.
OWN = ("delivery_tag", "reply_to", "argsrepr", "kwargsrepr")


def test_it_is_what_celery_would_send(broker_app: Celery, real_redis: Any) -> None:
    """Every header and property, in a task of the same name with the same options."""
    due_at = utc_now() + timedelta(seconds=99)
    publication = Publication("j1", 3, "tasks.generate", "alpha:8b", "k1", due_at, 7)
    broker_app.send_task(
        publication.task,
        task_id=publication.job_id,
        queue=QUEUE,
        priority=LEVEL,
        headers={
            "publication": publication.publication,
            "submitted_level": publication.priority,
            "due_at": isoformat(publication.due_at),
            "level": LEVEL,
            "key_id": publication.key_id,
        },
        argsrepr=publication.model,
        kwargsrepr="",
        root_id=publication.job_id,
    )
    (sent,) = real_redis.lrange(list_names(QUEUE)[LEVEL], 0, -1)
    expected, made = json.loads(sent), json.loads(make_message(publication, QUEUE, LEVEL))
    for message in (expected, made):
        for name in OWN:
            message["properties"].pop(name, None)
    assert made["headers"] == expected["headers"]
    assert made == expected


def test_two_messages_have_two_tags() -> None:
    """kombu keeps what is not acknowledged by its tag."""
    publication = Publication("j1", 3, "tasks.generate", "alpha:8b", "k1", utc_now(), 5)
    tags = {
        json.loads(make_message(publication, QUEUE, LEVEL))["properties"]["delivery_tag"] for _ in range(2)
    }
    assert len(tags) == 2
