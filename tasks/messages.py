"""
The message about a job, as kombu writes a Celery task to Redis.

Written out because publishing one through Celery's producer takes three times as long, and
one at a time; `tests/unit/tasks/test_messages.py` compares it with what Celery itself sends.
"""

import base64
import json
import uuid
from typing import Any

from celery.utils.nodenames import anon_nodename

from jobs.instants import isoformat
from jobs.records import Publication

# No arguments, and nothing to call afterwards: both are in the row.
_NOTHING = [[], {}, dict.fromkeys(("callbacks", "errbacks", "chain", "chord"))]
_BODY = base64.b64encode(json.dumps(_NOTHING).encode()).decode()


# In a script that looks through messages: what `label_of` says of a message's publication; nil where the
# message is none of ours.
LABEL_IN_LUA = """
local function label_of(message)
  local id = string.match(message, '"id": "([^"]+)"')
  local publication = string.match(message, '"publication": (%d+)')
  return id and publication and id .. ' ' .. publication or nil
end
"""


def label_of(publication: Publication) -> str:
    """What tells a job's message from every other, older ones of the same job too."""
    return f"{publication.job_id} {publication.publication}"


def make_message(publication: Publication, queue: str, level: int) -> str:
    """One element of a queue's list."""
    headers: dict[str, Any] = {
        "lang": "py",
        "task": publication.task,
        "id": publication.job_id,
        "shadow": None,
        "eta": None,
        "expires": None,
        "group": None,
        "group_index": None,
        "retries": 0,
        "timelimit": [None, None],
        "root_id": publication.job_id,
        "parent_id": None,
        # What logs and Flower show of the arguments.
        "argsrepr": publication.model,
        "kwargsrepr": "",
        "origin": anon_nodename(),
        "ignore_result": None,
        "replaced_task_nesting": 0,
        "stamped_headers": None,
        "stamps": {},
        "publication": publication.publication,
        "due_at": isoformat(publication.due_at),
        "level": level,
        "submitted_level": publication.priority,
        "key_id": publication.key_id,
    }
    return json.dumps(
        {
            "body": _BODY,
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": headers,
            "properties": {
                "correlation_id": publication.job_id,
                "reply_to": "",
                "delivery_mode": 2,
                "delivery_info": {"exchange": "", "routing_key": queue},
                "priority": level,
                "body_encoding": "base64",
                "delivery_tag": str(uuid.uuid4()),
            },
        }
    )
