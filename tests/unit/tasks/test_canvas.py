"""What Celery needs to go on after a job, kept in its row."""

import json
import uuid
from typing import Any

import pytest
from celery import chain, group
from celery.app.task import Context

from tasks import embed, generate
from tasks.canvas import has_successors, pack, restore


def test_a_job_on_its_own_has_no_canvas() -> None:
    """Nothing is kept."""
    assert pack("j1", None, None, {}) is None
    assert pack("j1", [], [], {"chain": None, "priority": 3, "countdown": 5}) is None


def test_a_canvas_is_plain_json() -> None:
    """Signatures, chains and headers make the way through a JSON column."""
    options = {"chain": [embed.s()], "root_id": "r", "headers": {"key_id": "k1"}, "group_index": 0}
    packed = pack("j1", generate.s("Go on."), None, options)
    assert packed is not None
    assert json.loads(json.dumps(packed)) == packed
    assert packed["chain"][0]["task"] == "tasks.embed"
    assert (packed["root_id"], packed["headers"], packed["group_index"]) == ("r", {"key_id": "k1"}, 0)
    assert packed["link"][0]["args"] == ["Go on."]


def test_links_have_fixed_ids() -> None:
    """Sent again after a crash they are the same jobs, and no two are the same."""
    links = [generate.s("a"), generate.s("b")]
    one, again = pack("j1", links, links, {}), pack("j1", links, links, {})
    assert one == again
    assert one is not None
    ids = [link["options"]["task_id"] for name in ("link", "link_error") for link in one[name]]
    assert len(set(ids)) == 4
    assert all(uuid.UUID(each).version == 5 for each in ids)
    other = pack("j2", links, links, {})
    assert other is not None
    assert other["link"][0]["options"]["task_id"] not in ids


def test_an_id_that_a_link_has_is_kept() -> None:
    """Who names it means it."""
    packed = pack("j1", generate.s("a").set(task_id="mine"), None, {})
    assert packed is not None
    assert packed["link"][0]["options"]["task_id"] == "mine"


@pytest.mark.parametrize(
    "link", [group(generate.s("a"), generate.s("b")), chain(generate.s("a"), generate.s("b"))]
)
def test_groups_and_chains_name_their_members_themselves(link: Any) -> None:
    """An id of ours would be given to each of them."""
    packed = pack("j1", link, None, {})
    assert packed is not None
    assert "task_id" not in packed["link"][0]["options"]


def test_packing_leaves_the_callers_signature_alone() -> None:
    """It may be sent a second time, for another job."""
    link = generate.s("a")
    pack("j1", link, None, {})
    assert "task_id" not in link["options"]


def test_a_canvas_is_put_back_on_the_request() -> None:
    """Where Celery's tracer looks for it."""
    packed = {
        "link": [{"task": "l"}],
        "link_error": [{"task": "e"}],
        "chain": [{"task": "c"}],
        "chord": {"task": "b"},
        "group_id": "g",
        "group_index": 1,
        "parent_id": "p",
    }
    request = Context(id="j1", root_id="j1")
    restore(request, packed)
    assert (request.callbacks, request.errbacks) == ([{"task": "l"}], [{"task": "e"}])
    assert (request.chain, request.chord) == ([{"task": "c"}], {"task": "b"})
    assert (request.group, request.group_index, request.parent_id) == ("g", 1, "p")
    assert request.root_id == "j1"


@pytest.mark.parametrize("packed", [None, {}])
def test_without_a_canvas_the_request_stays(packed: Any) -> None:
    """A job on its own."""
    request = Context(id="j1", callbacks=None)
    restore(request, packed)
    assert request.callbacks is None


@pytest.mark.parametrize(
    ("packed", "waits"),
    [
        (None, False),
        ({}, False),
        ({"group_id": "g", "headers": {"key_id": "k"}}, False),
        ({"link": []}, False),
        ({"link": [{}]}, True),
        ({"link_error": [{}]}, True),
        ({"chain": [{}]}, True),
        ({"chord": {"task": "b"}}, True),
    ],
)
def test_who_waits_for_a_jobs_end(packed: Any, waits: bool) -> None:
    """Links, errbacks, the rest of a chain and a chord do; a group does not."""
    assert has_successors(packed) is waits
