"""What a relayed client is sent, for whatever is told of its job."""

import json
from types import SimpleNamespace
from typing import Any

import fakeredis
import pytest
import redis

from api import relay as relay_module
from api.answers import Ended, as_stream
from api.relay import BEGUN_ANEW, LOST, ClientGone, Lines, Relay
from api.subscription import LiveEvent, Subscription
from jobs.events import DONE, RESTART, STATUS, TOKEN, EventWriter
from jobs.states import Status
from jobs.wire import WIRE_ROUTES

NATIVE, OPENAI = WIRE_ROUTES["/api/generate"], WIRE_ROUTES["/v1/chat/completions"]
COMPLETED = {"status": "completed", "raw": "last\n", "is_one_object": False}


class Stage:
    """A relay, and what its job's run tells."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, openai: bool = False) -> None:
        monkeypatch.setattr(relay_module, "RECHECK_SECONDS", 0.01)
        monkeypatch.setattr(relay_module, "KEEP_ALIVE_SECONDS", 0.03)
        self.ended: Ended | None = None
        self.redis: Any = fakeredis.FakeRedis(decode_responses=True)
        self.subscription = Subscription(None)
        self.relay = Relay(
            "j1",
            OPENAI if openai else NATIVE,
            self.subscription,
            live=SimpleNamespace(is_connected=True),  # type: ignore[arg-type]
            client=self.redis,
            read_end=lambda: self.ended,
        )
        self._number = 0

    def tell(self, kind: str, **data: Any) -> None:
        self._number += 1
        self.subscription.offer(LiveEvent(f"{self._number}-0", kind, json.dumps(data)))

    def lines(self, raw: str, at: int) -> None:
        self.tell(TOKEN, text="x", raw=raw, at=at)

    def sent(self, at_most: int = 50) -> list[str]:
        """All that the client gets."""
        found = []
        for piece in self.relay.stream(self.relay.first()):
            found.append(piece)
            if len(found) == at_most:
                break
        return found


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(monkeypatch)


def _error(message: str) -> str:
    return json.dumps({"error": message}, separators=(",", ":")) + "\n"


def test_lines_are_sent_one_by_one_as_they_came(stage: Stage) -> None:
    """However many came together; what is for other readers is not."""
    stage.tell(STATUS, status="processing")
    stage.lines("a\nb\n", 0)
    stage.tell(TOKEN, text="not relayed")
    stage.lines("c\n", 4)
    stage.tell(DONE, **COMPLETED, at=6)
    assert stage.sent() == ["a\n", "b\n", "c\n", "last\n"]
    assert stage.relay.is_over


def test_an_event_counts_once(stage: Stage) -> None:
    """Told live and read from the stream."""
    EventWriter(stage.redis).add("j1", TOKEN, {"text": "", "raw": "a\n", "at": 0})
    ((entry_id, entry),) = stage.redis.xrange("paddock:events:j1")
    stage.subscription.offer(LiveEvent(entry_id, entry["type"], entry["data"]))
    stage.subscription.miss()
    assert stage.relay.first() == Lines("a\n")
    assert stage.relay.first() is None


def test_what_was_missed_is_read_from_the_stream_page_by_page(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that fell behind goes on where it was."""
    monkeypatch.setattr(relay_module, "_PAGE", 2)
    writer = EventWriter(stage.redis)
    for number in range(5):
        writer.add("j1", TOKEN, {"text": "", "raw": f"{number}\n", "at": 2 * number})
    writer.add("j1", DONE, {**COMPLETED, "at": 10})
    stage.subscription.miss()
    assert stage.sent() == ["0\n", "1\n", "2\n", "3\n", "4\n", "last\n"]


def test_a_gap_ends_the_stream_with_an_error(stage: Stage) -> None:
    """Pieces are never left out silently."""
    stage.lines("a\n", 0)
    stage.lines("c\n", 4)
    assert stage.sent() == ["a\n", _error(LOST)]


def test_a_lost_end_is_an_error_too(stage: Stage) -> None:
    """Once there were lines: those between are not known."""
    stage.lines("a\n", 0)
    stage.ended = Ended(Status.COMPLETED, 200, {"response": "all"})
    stage.tell(DONE, **COMPLETED, at=9)
    assert stage.sent() == ["a\n", _error(LOST)]


@pytest.mark.parametrize("openai", [False, True])
def test_an_answer_that_nobody_told_of_comes_from_the_row(
    monkeypatch: pytest.MonkeyPatch, openai: bool
) -> None:
    """With Redis away for all of it: the whole in one line."""
    stage = Stage(monkeypatch, openai=openai)
    message = {"role": "assistant", "content": "all"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    whole: dict[str, Any] = (
        {"object": "chat.completion", "choices": [choice]} if openai else {"response": "all"}
    )
    stage.ended = Ended(Status.COMPLETED, 200, whole)
    sent = stage.sent()
    if openai:
        chunk = json.loads(sent[0].removeprefix("data: "))
        assert (chunk["object"], chunk["choices"][0]["delta"]) == ("chat.completion.chunk", message)
        assert sent[1:] == ["data: [DONE]\n\n"]
    else:
        assert [json.loads(line) for line in sent] == [whole]


def test_the_end_that_the_stream_has_wins_over_the_row(stage: Stage) -> None:
    """The row was first, its event is on its way."""
    stage.ended = Ended(Status.COMPLETED, 200, {"response": "all"})
    EventWriter(stage.redis).add("j1", DONE, {**COMPLETED, "at": 0})
    assert stage.sent() == ["last\n"]


@pytest.mark.parametrize(("kind", "data"), [(RESTART, {}), (STATUS, {"status": "pending"})])
def test_a_stream_does_not_begin_anew(stage: Stage, kind: str, data: dict[str, Any]) -> None:
    """The worker was lost, or the job went back."""
    stage.lines("a\n", 0)
    stage.tell(kind, **data)
    assert stage.sent() == ["a\n", _error(BEGUN_ANEW)]


def test_before_the_first_line_it_may(stage: Stage) -> None:
    """Nothing was sent yet."""
    stage.tell(STATUS, status="pending")
    stage.tell(RESTART)
    stage.lines("a\n", 0)
    stage.tell(DONE, **COMPLETED, at=2)
    assert stage.sent() == ["a\n", "last\n"]


def test_an_error_after_lines_is_the_last_line(stage: Stage) -> None:
    """In Ollama's words."""
    stage.lines("a\n", 0)
    stage.tell(DONE, status="failed", error={"status": 500, "body": {"error": "boom"}})
    assert stage.sent() == ["a\n", _error("boom")]


def test_what_ollama_gave_up_ends_as_it_ends(stage: Stage) -> None:
    """Without a word."""
    stage.lines("a\n", 0)
    stage.tell(DONE, status="failed", error={"status": 200, "body": {"response": "a"}})
    assert stage.sent() == ["a\n"]


def test_a_cancelled_job_is_told_from_its_row(stage: Stage) -> None:
    """Whoever cancelled it."""
    stage.lines("a\n", 0)
    stage.ended = Ended(Status.CANCELLED, 499, {"error": "cancelled"})
    stage.tell(DONE, status="cancelled")
    assert stage.sent() == ["a\n", _error("cancelled")]


@pytest.mark.parametrize(("openai", "alive"), [(False, " "), (True, ": keep-alive\n\n")])
def test_silence_is_filled_with_what_means_nothing(
    monkeypatch: pytest.MonkeyPatch, openai: bool, alive: str
) -> None:
    """White space before a line, or a comment."""
    assert Stage(monkeypatch, openai=openai).sent(at_most=2) == [alive, alive]


def test_a_client_that_leaves_ends_it(stage: Stage) -> None:
    """Nothing more is made for it."""
    stage.subscription.leave()
    with pytest.raises(ClientGone):
        stage.relay.first()
    assert not stage.relay.is_over


def test_an_answer_in_one_piece_is_waited_for(stage: Stage) -> None:
    """Through silence, and while Redis is away."""
    stage.subscription.miss()
    stage.redis.xrange = _away
    ended = iter([None, None, Ended(Status.COMPLETED, 200, {"response": "all"})])
    stage.relay._read_end = lambda: next(ended)
    assert stage.relay.end().body == {"response": "all"}
    assert stage.relay.is_over


def test_an_answer_in_one_piece_may_come_with_the_end(stage: Stage) -> None:
    """As the worker put it together."""
    stage.tell(DONE, status="completed", whole='{"response":"all"}')
    assert stage.relay.end().raw == '{"response":"all"}'


def _away(*_: Any, **__: Any) -> Any:
    raise redis.ConnectionError


def test_an_error_is_an_event_of_openai_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its stream ends with it."""
    assert as_stream(Ended(Status.FAILED, 500, {"error": {}}), OPENAI) == 'data: {"error":{}}\n\n'


def test_a_reader_holds_so_many_characters_at_most() -> None:
    """Then it is told that it missed something, and reads the stream."""
    from api.subscription import MAX_WAITING_CHARS, MISSED

    subscription = Subscription(None)
    for number in range(5):
        subscription.offer(LiveEvent(f"{number}-0", TOKEN, "x" * (MAX_WAITING_CHARS // 2 + 1)))
    found = [subscription.get(0) for _ in range(5)]
    assert [event is MISSED for event in found if event] == [False, False, True]
