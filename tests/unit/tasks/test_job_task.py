"""A task call becomes a row first and a message second."""

from datetime import timedelta
from typing import Any

import pytest
from celery import chain
from celery.app.task import Context

from jobs.errors import InvalidRequest, ModelNotInstalled
from jobs.instants import utc_now
from jobs.models import Job
from jobs.records import Publication
from jobs.states import Status
from jobs.workers import InstalledModel, WorkerReport, report_worker
from tasks import app, chat, embed, generate, job_task
from tasks.job_task import JobTask
from tasks.resources import Resources
from tests.support.jobs import payload, row
from worker.intake import Ignore, take_in


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[Publication]:
    """What would have been sent to the broker."""
    found: list[Publication] = []
    monkeypatch.setattr(job_task, "publish", lambda _client, publications, **_: found.extend(publications))
    return found


@pytest.fixture(autouse=True)
def installed(resources: Resources) -> None:
    """A worker that has the model alpha."""
    moment = utc_now().timestamp()
    models = [InstalledModel("alpha")]
    report = WorkerReport("w1", "gpu", "http://gpu:11434", True, 1, moment, models=models)
    report_worker(resources.redis, report)


def _row(resources: Resources, job_id: str) -> Job:
    return row(resources.service, job_id)


def _input(resources: Resources, job_id: str) -> dict[str, Any]:
    return payload(resources.service, job_id).input


def test_a_call_is_a_job(resources: Resources, published: list[Publication]) -> None:
    """Its id is the result's, its owner the local key, its priority normal, and it is published once."""
    result = generate.delay("Why?")
    job = _row(resources, result.id)
    assert (job.status, job.task, job.kind, job.model) == (
        Status.PENDING,
        "tasks.generate",
        "generate",
        "alpha",
    )
    assert (job.key_id, job.priority, job.has_successors) == ("local", 5, False)
    assert _input(resources, result.id) == {"prompt": "Why?"}
    assert [publication.job_id for publication in published] == [result.id]


@pytest.mark.parametrize(
    ("call", "kept"),
    [
        (
            lambda: generate.delay(prompt="Why?", system="Be brief."),
            {"prompt": "Why?", "system": "Be brief."},
        ),
        (lambda: generate.delay("Why?", think=False), {"prompt": "Why?", "think": False}),
        (
            lambda: generate.apply_async(("Why?",), {"options": {"seed": 1}}),
            {"prompt": "Why?", "options": {"seed": 1}},
        ),
        (lambda: chat.delay("Hi"), {"messages": [{"role": "user", "content": "Hi"}]}),
        (
            lambda: chat.delay([{"role": "system", "content": "S"}], tools=[{"type": "function"}]),
            {"messages": [{"role": "system", "content": "S"}], "tools": [{"type": "function"}]},
        ),
        (lambda: embed.delay("a"), {"input": "a"}),
        (lambda: embed.delay(["a", {"text": "b", "model": "m"}]), {"input": ["a", "b"]}),
        (lambda: generate.delay({"text": "a", "model": "m"}), {"prompt": "a"}),
        (lambda: chat.delay({"text": "a", "model": "m"}), {"messages": [{"role": "user", "content": "a"}]}),
    ],
)
def test_arguments_are_what_is_asked(
    resources: Resources, published: list[Publication], call: Any, kept: dict[str, Any]
) -> None:
    """By place or by name; a result stands for its text."""
    assert _input(resources, call().id) == kept


@pytest.mark.parametrize(
    ("args", "kwargs", "says"),
    [
        ((), {}, "prompt"),
        (("a", "b"), {}, "positional"),
        (("a",), {"promt": "b"}, "promt"),
        (("",), {}, "prompt"),
        ((5,), {}, "prompt"),
        (("a",), {"model": "no model"}, "model"),
        (("a",), {"timeout_seconds": -1}, "timeout_seconds"),
    ],
)
def test_what_is_wrong_is_said_at_once(
    resources: Resources, published: list[Publication], args: Any, kwargs: Any, says: str
) -> None:
    """In the caller's process, and nothing is written or sent."""
    with pytest.raises(InvalidRequest, match=says):
        generate.apply_async(args, kwargs, task_id="j1")
    with resources.database.reading() as session:
        assert session.get(Job, "j1") is None
    assert published == []


def test_a_model_that_nobody_has_is_said_at_once(resources: Resources, published: list[Publication]) -> None:
    """As far as any worker is there to tell."""
    with pytest.raises(ModelNotInstalled):
        generate.delay("Why?", model="beta")
    assert published == []


@pytest.mark.parametrize(("priority", "kept"), [(0, 0), (9, 9), ("high", 2), (None, 5)])
def test_priority_is_celerys_option(
    resources: Resources, published: list[Publication], priority: Any, kept: int
) -> None:
    """Unset is normal and not 0, Celery's default and the most urgent."""
    result = generate.apply_async(("Why?",), priority=priority)
    assert _row(resources, result.id).priority == kept


def test_a_wrong_priority_is_refused(resources: Resources) -> None:
    """There are ten."""
    with pytest.raises(InvalidRequest, match="priority"):
        generate.apply_async(("Why?",), priority=10)


@pytest.mark.parametrize("form", ["seconds", "aware", "naive", "text"])
def test_expires_is_a_deadline(resources: Resources, published: list[Publication], form: str) -> None:
    """Celery takes seconds, a datetime (a naive one is UTC) or its ISO form."""
    moment = utc_now() + timedelta(seconds=60)
    forms = {
        "seconds": 60,
        "aware": moment,
        "naive": moment.replace(tzinfo=None),
        "text": moment.isoformat(),
    }
    job = _row(resources, generate.apply_async(("Why?",), expires=forms[form]).id)
    assert job.deadline_at is not None
    assert abs(job.deadline_at - moment) < timedelta(seconds=10)


@pytest.mark.parametrize("option", ["countdown", "eta"])
def test_a_delayed_call_is_not_sent_yet(
    resources: Resources, published: list[Publication], option: str
) -> None:
    """The row waits in the database, without a message."""
    value: Any = 60 if option == "countdown" else utc_now() + timedelta(seconds=60)
    job = _row(resources, generate.apply_async(("Why?",), **{option: value}).id)
    assert job.not_before is not None
    assert abs((job.not_before - utc_now()).total_seconds() - 60) < 10
    assert (job.released_at, published) == (None, [])


def test_headers_name_the_owner(resources: Resources, published: list[Publication]) -> None:
    """For code that submits for somebody."""
    assert _row(resources, generate.apply_async(("Why?",), headers={"key_id": "k7"}).id).key_id == "k7"


def test_an_id_that_is_used_again_is_the_same_job(resources: Resources, published: list[Publication]) -> None:
    """A repeated call sends nothing and changes nothing."""
    for prompt in ("one", "two"):
        assert generate.apply_async((prompt,), task_id="j1").id == "j1"
    assert _input(resources, "j1") == {"prompt": "one"}
    assert len(published) == 1


def test_a_chain_waits_in_the_row_of_its_first_job(
    resources: Resources, published: list[Publication]
) -> None:
    """Later prompts are nowhere else."""
    chain(generate.s("one"), chat.s(), embed.s()).apply_async()
    (publication,) = published
    assert _row(resources, publication.job_id).has_successors
    canvas = payload(resources.service, publication.job_id).canvas
    assert canvas is not None
    assert [member["task"] for member in canvas["chain"]] == ["tasks.embed", "tasks.chat"]


def test_queues_and_routes_are_not_looked_at(resources: Resources, published: list[Publication]) -> None:
    """The model is the queue."""
    result = generate.apply_async(("Why?",), queue="elsewhere", routing_key="x", exchange="y", retry=True)
    assert _row(resources, result.id).model == "alpha"


def test_a_workers_task_is_run_by_the_worker(resources: Resources, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which registers itself; the arguments of the message come along."""
    ran: list[Any] = []
    monkeypatch.setattr(JobTask, "runner", lambda task, args, kwargs: ran.append((task.name, args, kwargs)))
    generate.push_request(id="j1", called_directly=False, is_eager=False)
    try:
        generate("Why?", model="alpha")
    finally:
        generate.pop_request()
    assert ran == [("tasks.generate", ("Why?",), {"model": "alpha"})]


@pytest.mark.parametrize(("options", "is_child"), [({}, True), ({"add_to_parent": False}, False)])
def test_a_job_that_a_task_submits_is_its_child(
    resources: Resources,
    published: list[Publication],
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    is_child: bool,
) -> None:
    """As Celery keeps them, unless told otherwise."""
    trail: list[Any] = []

    class Parent:
        add_trail = staticmethod(trail.append)

    monkeypatch.setattr(type(app), "current_worker_task", Parent())
    result = generate.apply_async(("Why?",), **options)
    assert trail == ([result] if is_child else [])


# --- messages with arguments, of send_task from elsewhere --------------------------------------------


def _request(**values: Any) -> Any:
    known = {"id": "j1", "headers": {}, "delivery_info": {}, "called_directly": False, "is_eager": False}
    return Context(known | values)


def _take_in(monkeypatch: pytest.MonkeyPatch, request: Any, *args: Any, **kwargs: Any) -> None:
    monkeypatch.setattr(JobTask, "request", request)
    with pytest.raises(Ignore):
        take_in(generate, args, kwargs)


def test_a_message_with_arguments_becomes_a_job(
    resources: Resources, published: list[Publication], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under the message's id, with its owner, priority, deadline and links."""
    expires = (utc_now() + timedelta(seconds=60)).isoformat()
    request = _request(
        delivery_info={"priority": 3},
        headers={"key_id": "k2"},
        callbacks=[embed.s()],
        expires=expires,
    )
    _take_in(monkeypatch, request, "Why?", model="alpha")
    job = _row(resources, "j1")
    assert (job.priority, job.key_id, job.has_successors) == (3, "k2", True)
    assert job.deadline_at is not None
    assert [publication.job_id for publication in published] == ["j1"]


@pytest.mark.parametrize("delivery_info", [None, {}, {"priority": 0}, {"priority": None}])
def test_a_message_without_a_priority_is_normal(
    resources: Resources,
    published: list[Publication],
    monkeypatch: pytest.MonkeyPatch,
    delivery_info: Any,
) -> None:
    """kombu says 0 for none, which would be the most urgent."""
    _take_in(monkeypatch, _request(delivery_info=delivery_info), "Why?")
    assert _row(resources, "j1").priority == 5


def test_a_redelivered_message_meets_its_row(
    resources: Resources, published: list[Publication], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is one job, and sent once."""
    for _ in range(2):
        _take_in(monkeypatch, _request(), "Why?")
    assert len(published) == 1


def test_a_wrong_message_is_said_to_its_caller(
    resources: Resources, published: list[Publication], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Celery stores the failure under the message's id."""
    monkeypatch.setattr(JobTask, "request", _request())
    with pytest.raises(InvalidRequest):
        take_in(generate, (), {"nonsense": 1})
    assert app.AsyncResult("j1").state == "PENDING"
