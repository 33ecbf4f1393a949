"""Waiting and streaming on a real Valkey; the test plays the worker."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from api import create_app, live, sse, waiting
from api.database import db, get_database
from api.live import LiveEvents, live_events
from api.subscription import MAX_WAITING
from jobs.events import (
    CANCELLED_CHANNEL,
    DONE,
    RESTART,
    STATUS,
    STREAM_PREFIX,
    TOKEN,
    EventWriter,
    begun,
)
from jobs.keys import KeyService
from jobs.records import Claimed, Outcome
from jobs.service import JobService
from settings import get_settings
from tasks import resources
from tests.environment import new_database
from tests.integration.system import eventually
from tests.support.valkey import Valkey

# Events, and how they are passed on; of the database it reads one row by its key.
pytestmark = pytest.mark.one_database

JOBS = "/api/llm/jobs/"


class Stream:
    """A reader of a job's events, as a browser reads them."""

    def __init__(self, answer: TestResponse) -> None:
        self.answer = answer
        self.comments = 0
        self._lines = (line for chunk in answer.response for line in self._text(chunk).splitlines())

    @staticmethod
    def _text(chunk: str | bytes) -> str:
        return chunk.decode() if isinstance(chunk, bytes) else chunk

    def __iter__(self) -> Iterator[dict[str, Any]]:
        event: dict[str, Any] = {}
        for line in self._lines:
            if not line and event:
                yield {**event, "data": json.loads(event["data"])}
                event = {}
            elif line.startswith(":"):
                self.comments += 1
            elif line:
                name, _, value = line.partition(": ")
                event[name] = value

    def next(self) -> dict[str, Any]:
        return next(iter(self))

    def names(self) -> list[str]:
        return [event["event"] for event in self]

    def close(self) -> None:
        self.answer.close()


class Stage:
    """The API on one side, the hands of a worker on the other."""

    def __init__(self, folder: Path, valkey: Valkey) -> None:
        update = {"database_url": new_database(folder), "redis_url": valkey.url}
        settings = get_settings().model_copy(update=update)
        self.app = create_app(settings)
        self.valkey = valkey
        with self.app.app_context():
            db.create_all()
            self.database = get_database()
            self.live: LiveEvents = live_events()
        key = KeyService(self.database).create("tester")
        self.headers = {"Authorization": f"Bearer {key}"}
        self.service: JobService = resources.get_resources().service
        self.events: EventWriter = resources.get_resources().events
        self._claimed: dict[str, Claimed] = {}

    def submit(self) -> str:
        body = {"prompt": "Why?", "model": "alpha"}
        answer = self.app.test_client().post(f"{JOBS}submit/", json=body, headers=self.headers)
        return str(answer.get_json()["job_id"])

    def get(self, path: str, **headers: str) -> TestResponse:
        return self.app.test_client().get(JOBS + path, headers={**self.headers, **headers})

    def post(self, path: str) -> TestResponse:
        return self.app.test_client().post(JOBS + path, headers=self.headers)

    def stream(self, job_id: str, *, after: str = "") -> Stream:
        headers = {"Last-Event-ID": after} if after else {}
        return Stream(self.get(f"{job_id}/events/", **headers))

    def listening(self, job_id: str) -> Stream:
        """A stream whose reader is known to wait for what comes."""
        stream = self.stream(job_id)
        assert stream.next()["event"] == STATUS
        self._reader(stream)
        eventually(lambda: self.live.readers() == 1)
        return stream

    def _reader(self, stream: Stream) -> None:
        """Reads on in a thread, as a generator does nothing until it is asked."""
        self.read: list[dict[str, Any]] = []
        self.thread = threading.Thread(target=lambda: self.read.extend(stream), daemon=True)
        self.thread.start()

    def start(self, job_id: str) -> None:
        claimed = self.service.claim(job_id, publication=1, worker="w1")
        assert claimed is not None
        self._claimed[job_id] = claimed
        self.events.add(job_id, STATUS, {"status": "processing", **begun(claimed, "w1")})

    def token(self, job_id: str, text: str) -> str:
        """Write a token, and give its id."""
        self.events.add(job_id, TOKEN, {"text": text})
        newest = resources.get_resources().redis.xrevrange(STREAM_PREFIX + job_id, count=1)
        return str(newest[0][0])

    def finish(self, job_id: str, *, quietly: bool = False) -> None:
        outcome = Outcome({"done": True}, "Because.", 1.0)
        assert self.service.finish(job_id, self._claimed[job_id].claim, outcome)
        if not quietly:
            self.events.add(job_id, DONE, {"status": "completed"})

    def close(self) -> None:
        self.live.close()
        resources.get_resources().redis.close()
        self.database.close()


@pytest.fixture
def valkey() -> Iterator[Valkey]:
    server = Valkey()
    server.start()
    yield server
    server.close()


@pytest.fixture
def stage(tmp_path: Path, valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setattr(resources, "_by_process", {})
    monkeypatch.setattr("tasks.job_task.publish", lambda *_, **__: True)
    made = Stage(tmp_path, valkey)
    yield made
    made.close()


def test_a_wait_ends_with_its_job(stage: Stage) -> None:
    """A waiting client is answered within a moment of the end, and nobody stays subscribed."""
    job_id = stage.submit()
    stage.start(job_id)
    answers: list[TestResponse] = []
    thread = threading.Thread(target=lambda: answers.append(stage.get(f"{job_id}/status/?wait=30")))
    thread.start()
    eventually(lambda: stage.live.readers() == 1)
    stage.finish(job_id)
    began = time.monotonic()
    thread.join(5)
    assert time.monotonic() - began < 0.5
    assert answers[0].get_json()["result_data"] == "Because."
    assert stage.live.readers() == 0


def test_a_job_that_ends_while_its_client_subscribes(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The row is looked at after subscribing, so no wake-up can be lost."""
    job_id = stage.submit()
    stage.start(job_id)
    subscribe = stage.live.subscribe

    def finish_first(*arguments: Any, **options: Any) -> Any:
        stage.finish(job_id)
        return subscribe(*arguments, **options)

    monkeypatch.setattr(stage.live, "subscribe", finish_first)
    began = time.monotonic()
    assert stage.get(f"{job_id}/status/?wait=30").get_json()["status"] == "completed"
    assert time.monotonic() - began < 1


def test_many_that_wait_share_one_connection(stage: Stage) -> None:
    """Forty clients that wait for forty jobs are one subscribed connection, and all are answered."""
    jobs = [stage.submit() for _ in range(40)]
    for job_id in jobs:
        stage.start(job_id)
    ended: list[str] = []

    def wait(job_id: str) -> None:
        ended.append(stage.get(f"{job_id}/status/?wait=30").get_json()["status"])

    threads = [threading.Thread(target=wait, args=(job_id,)) for job_id in jobs]
    for thread in threads:
        thread.start()
    eventually(lambda: stage.live.readers() == 40)
    subscribed = [
        client for client in resources.get_resources().redis.client_list() if int(client["sub"]) > 0
    ]
    for job_id in jobs:
        stage.finish(job_id)
    for thread in threads:
        thread.join(10)
    assert ended == ["completed"] * 40
    assert len(subscribed) == 1


def test_a_stream_from_beginning_to_end(stage: Stage) -> None:
    """The job first, then each token as it is written, then the job complete; then the stream ends."""
    job_id = stage.submit()
    stream = stage.listening(job_id)
    stage.start(job_id)
    eventually(lambda: [event["event"] for event in stage.read] == [STATUS])
    # As the row has it, which was not read for it; a guess of the end of the wait has no place in it.
    assert stage.read[0]["data"] == stage.get(f"{job_id}/status/").get_json()
    first = stage.token(job_id, "Be")
    eventually(lambda: stage.read[-1]["event"] == TOKEN)
    stage.token(job_id, "cause\n.")
    stage.finish(job_id)
    stage.thread.join(5)
    assert [event["event"] for event in stage.read] == [STATUS, TOKEN, TOKEN, DONE]
    assert (stage.read[1]["id"], stage.read[1]["data"]) == (first, {"text": "Be"})
    assert stage.read[2]["data"] == {"text": "cause\n."}
    assert stage.read[3]["data"]["result_data"] == "Because."
    assert stream.answer.mimetype == "text/event-stream"
    assert stream.answer.headers["Cache-Control"] == "no-store"
    assert stream.answer.headers["X-Accel-Buffering"] == "no"
    assert stage.live.readers() == 0


def test_a_late_comer_gets_what_was(stage: Stage) -> None:
    """Who comes in the middle gets the tokens so far, and then the rest, each once."""
    job_id = stage.submit()
    stage.start(job_id)
    stage.token(job_id, "a")
    stage.token(job_id, "b")
    stage.listening(job_id)
    stage.token(job_id, "c")
    stage.finish(job_id)
    stage.thread.join(5)
    tokens = [event["data"]["text"] for event in stage.read if event["event"] == TOKEN]
    assert tokens == ["a", "b", "c"]
    assert stage.read[-1]["event"] == DONE


def test_a_stream_after_the_end(stage: Stage) -> None:
    """Who comes after the end gets the job, the tokens that are kept, and done."""
    job_id = stage.submit()
    stage.start(job_id)
    stage.token(job_id, "a")
    stage.finish(job_id)
    assert stage.stream(job_id).names() == [STATUS, TOKEN, DONE]


def test_a_stream_that_has_expired(stage: Stage) -> None:
    """When Redis keeps nothing any more, the row still says how it ended."""
    job_id = stage.submit()
    stage.start(job_id)
    stage.finish(job_id)
    resources.get_resources().redis.delete(STREAM_PREFIX + job_id)
    events = list(stage.stream(job_id))
    assert [event["event"] for event in events] == [STATUS, DONE]
    assert events[1]["data"]["result_data"] == "Because."


def test_a_reader_that_comes_back(stage: Stage) -> None:
    """With the last id it saw, a reader gets what came after it, and nothing twice."""
    job_id = stage.submit()
    stage.start(job_id)
    seen = stage.token(job_id, "a")
    stage.token(job_id, "b")
    stage.finish(job_id)
    for stream in (
        stage.stream(job_id, after=seen),
        Stream(stage.get(f"{job_id}/events/?last_event_id={seen}")),
    ):
        tokens = [event["data"]["text"] for event in stream if event["event"] == TOKEN]
        assert tokens == ["b"]


def test_a_browser_that_comes_back_by_itself_is_told_to_stop(stage: Stage) -> None:
    """A reader that saw the end gets 204, which ends an EventSource's attempts."""
    job_id = stage.submit()
    stage.start(job_id)
    stage.finish(job_id)
    last = list(stage.stream(job_id))[-1]["id"]
    assert stage.get(f"{job_id}/events/", **{"Last-Event-ID": last}).status_code == 204


def test_a_new_attempt_discards(stage: Stage) -> None:
    """A restart is passed on as it is, with its id."""
    job_id = stage.submit()
    stage.start(job_id)
    stage.token(job_id, "a")
    stage.events.add(job_id, RESTART, {})
    stage.token(job_id, "b")
    stage.finish(job_id)
    assert stage.stream(job_id).names() == [STATUS, TOKEN, RESTART, TOKEN, DONE]


def test_an_end_that_nobody_wrote(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream and a wait end with the row, also when the event is missing."""
    monkeypatch.setattr(sse, "HEARTBEAT_SECONDS", 0.1)
    monkeypatch.setattr(waiting, "RECHECK_SECONDS", 0.1)
    job_id = stage.submit()
    stage.start(job_id)
    stage.listening(job_id)
    stage.finish(job_id, quietly=True)
    stage.thread.join(5)
    assert stage.read[-1]["event"] == DONE
    assert stage.get(f"{job_id}/status/?wait=5").get_json()["status"] == "completed"


def test_an_idle_stream_is_kept_alive(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """While nothing happens, a comment now and then keeps the connection open."""
    monkeypatch.setattr(sse, "HEARTBEAT_SECONDS", 0.05)
    job_id = stage.submit()
    stage.start(job_id)
    stream = stage.listening(job_id)
    eventually(lambda: stream.comments >= 2)
    stage.finish(job_id)
    stage.thread.join(5)


def test_a_reader_that_goes_away(stage: Stage) -> None:
    """A reader that closes its stream is subscribed no more."""
    job_id = stage.submit()
    stage.start(job_id)
    stream = stage.stream(job_id)
    events = iter(stream)
    next(events)
    stage.token(job_id, "a")
    assert next(events)["event"] == TOKEN
    assert stage.live.readers() == 1
    stream.close()
    assert stage.live.readers() == 0


def test_a_slow_reader_misses_nothing(stage: Stage) -> None:
    """A reader that falls too far behind is caught up from what Redis keeps, each token once, in order."""
    job_id = stage.submit()
    stage.start(job_id)
    events = iter(stage.stream(job_id))
    next(events)
    stage.token(job_id, "first")
    next(events)  # now it is subscribed, and reads no further
    for number in range(MAX_WAITING + 500):
        stage.token(job_id, str(number))
    stage.finish(job_id)
    texts = [event["data"]["text"] for event in events if event["event"] == TOKEN]
    assert texts == [str(number) for number in range(MAX_WAITING + 500)]


def test_redis_goes_and_comes(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """While Redis is away the row is looked at; when it is back, events come again."""
    monkeypatch.setattr(sse, "POLL_SECONDS", 0.1)
    monkeypatch.setattr(waiting, "POLL_SECONDS", 0.1)
    monkeypatch.setattr(live, "RECONNECT_SECONDS", (0.05,))
    first, second = stage.submit(), stage.submit()
    stage.start(first)
    stage.start(second)
    stage.listening(first)
    stage.valkey.stop()
    eventually(lambda: not stage.live.is_connected)
    stage.finish(first, quietly=True)
    stage.thread.join(5)
    assert stage.read[-1]["event"] == DONE

    assert stage.get(f"{second}/status/?wait=0.2").get_json()["status"] == "processing"
    stage.valkey.start()
    eventually(lambda: stage.live.is_connected)
    stage.listening(second)
    stage.token(second, "back")
    eventually(lambda: stage.read and stage.read[-1]["event"] == TOKEN)
    stage.finish(second)
    stage.thread.join(5)


def test_readers_are_carried_over_an_outage(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that was there before Redis went hears its new events when it is back."""
    monkeypatch.setattr(sse, "POLL_SECONDS", 0.1)
    monkeypatch.setattr(live, "RECONNECT_SECONDS", (0.05,))
    job_id = stage.submit()
    stage.start(job_id)
    stage.listening(job_id)
    stage.valkey.stop()
    eventually(lambda: not stage.live.is_connected)
    stage.valkey.start()
    eventually(lambda: stage.live.is_connected)
    stage.token(job_id, "after")
    eventually(lambda: stage.read and stage.read[-1]["event"] == TOKEN)
    stage.finish(job_id)
    stage.thread.join(5)


def test_everything_works_before_redis_does(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """With Redis away from the start, jobs are taken, waited for, streamed and cancelled."""
    monkeypatch.setattr(sse, "POLL_SECONDS", 0.1)
    monkeypatch.setattr(waiting, "POLL_SECONDS", 0.1)
    stage.valkey.stop()
    job_id, other = stage.submit(), stage.submit()
    claimed = stage.service.claim(job_id, publication=1, worker="w1")
    assert claimed is not None
    timer = threading.Timer(0.3, stage.service.finish, (job_id, claimed.claim, Outcome({}, "x", 1.0)))
    timer.start()
    assert stage.get(f"{job_id}/status/?wait=10").get_json()["status"] == "completed"
    assert stage.stream(job_id).names() == [STATUS, DONE]
    began = time.monotonic()
    assert stage.post(f"{other}/cancel/").status_code == 202
    assert time.monotonic() - began < 3


def test_cancelling_tells_worker_and_readers(stage: Stage) -> None:
    """A cancelled job's id goes to the workers, and its readers get the end."""
    job_id = stage.submit()
    stage.start(job_id)
    stage.listening(job_id)
    listener = resources.get_resources().redis.pubsub(ignore_subscribe_messages=True)
    listener.subscribe(CANCELLED_CHANNEL)
    listener.get_message(timeout=0.2)
    assert stage.post(f"{job_id}/cancel/").get_json()["status"] == "cancelled"
    message = eventually(lambda: listener.get_message(timeout=0.2))
    assert message["data"] == job_id
    stage.thread.join(5)
    assert stage.read[-1]["event"] == DONE
    assert stage.read[-1]["data"]["error"]["code"] == "cancelled"
    listener.close()


def test_a_job_that_is_tried_again_goes_on(stage: Stage) -> None:
    """A `done` of an earlier life does not end the stream of a job that was put back."""
    job_id = stage.submit()
    stage.start(job_id)
    stage.post(f"{job_id}/cancel/")
    stage.service.retry(job_id)
    events = iter(stage.stream(job_id))
    assert next(events)["data"]["status"] == "pending"
    assert [next(events)["event"]] == [STATUS]
