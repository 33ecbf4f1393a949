"""Tokens and states on their way to readers: what goes at once, what together, what nobody gets."""

from typing import Any

import pytest
import redis

from jobs.states import Status
from worker import event_stream
from worker.event_stream import EventStream


class Writer:
    """Notes what is sent, call by call; fails while it is told to."""

    def __init__(self) -> None:
        self.sent: list[list[tuple[str, str, dict[str, Any]]]] = []
        self.hashes: dict[str, dict[str, float]] = {}
        self.is_away = False

    def add_all(self, events: Any, also: Any) -> None:
        if self.is_away:
            raise redis.ConnectionError("redis://user:password@host")
        self.sent.append(list(events))
        for command, key, *rest in also:
            if command == "HSET":
                self.hashes[key] = dict(zip(rest[::2], rest[1::2], strict=True))
            else:
                assert (command, key in self.hashes) == ("EXPIRE", True)


class Clock:
    """The stream's time."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    time = monotonic


@pytest.fixture
def writer() -> Writer:
    return Writer()


@pytest.fixture
def stream(writer: Writer) -> EventStream:
    """A stream whose thread is not started."""
    return EventStream(writer, "w1@gpu")  # type: ignore[arg-type]


def test_the_first_token_goes_out_at_once(stream: EventStream, writer: Writer) -> None:
    """With the state that came before it, in one trip."""
    stream.status("j1", Status.PROCESSING)
    assert writer.sent == []
    stream.token("j1", "It", "", is_first=True)
    assert writer.sent == [
        [("j1", "status", {"status": "processing"}), ("j1", "token", {"text": "It"})],
    ]


def test_later_tokens_are_put_together(stream: EventStream, writer: Writer) -> None:
    """Text with text and thinking with thinking, in their order."""
    for text, thinking in (("", "Hm"), ("", "m."), ("It ", ""), ("scatters.", "")):
        stream.token("j1", text, thinking, is_first=False)
    assert writer.sent == []
    stream.flush()
    assert writer.sent == [[("j1", "token", {"text": "It scatters.", "thinking": "Hmm."})]]


def test_what_is_put_together_is_of_one_job(stream: EventStream, writer: Writer) -> None:
    """And nothing is moved past another event."""
    stream.token("j1", "a", "", is_first=False)
    stream.token("j2", "b", "", is_first=False)
    stream.restart("j2")
    stream.token("j2", "c", "", is_first=False)
    stream.flush()
    assert [(job_id, kind, data.get("text")) for job_id, kind, data in writer.sent[0]] == [
        ("j1", "token", "a"),
        ("j2", "token", "b"),
        ("j2", "restart", None),
        ("j2", "token", "c"),
    ]


def test_the_end_takes_everything_along(stream: EventStream, writer: Writer) -> None:
    """Nothing is behind it."""
    stream.token("j1", "a", "", is_first=False)
    stream.done("j1", Status.COMPLETED)
    assert [kind for _, kind, _ in writer.sent[0]] == ["token", "done"]


def test_the_thread_sends_what_nobody_has_sent(
    stream: EventStream, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a moment, in which more may come."""

    class Stop(Exception):
        pass

    def sleep(_seconds: float) -> None:
        if writer.sent:
            raise Stop
        stream.token("j1", "b", "", is_first=False)

    monkeypatch.setattr(event_stream.time, "sleep", sleep)
    send = writer.add_all

    def and_one_more(events: Any, also: Any) -> None:
        send(events, also)
        stream.restart("j1")

    monkeypatch.setattr(writer, "add_all", and_one_more)
    stream.token("j1", "a", "", is_first=False)
    with pytest.raises(Stop):
        stream.run()
    assert writer.sent == [[("j1", "token", {"text": "ab"})]]


def test_the_parent_is_told_once_with_the_events(
    stream: EventStream, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which model answers, and how long its load took if it was one; no trip of its own."""
    monkeypatch.setattr(event_stream, "time", Clock())
    stream.answered("alpha")
    stream.loaded("alpha", 2.5)
    stream.loaded("beta", 0.02)
    stream.loaded("gamma", None)
    assert writer.sent == []
    stream.token("j1", "It", "", is_first=True)
    assert writer.hashes == {"paddock:answers:w1@gpu": {"answered alpha": 100.0, "load alpha": 2.5}}
    writer.hashes.clear()
    stream.done("j1", Status.COMPLETED)
    assert writer.hashes == {}


def test_while_redis_is_away_events_are_dropped(
    stream: EventStream, writer: Writer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One try a second, so that reading from Ollama goes on; the log says it once and no secret."""
    clock = Clock()
    monkeypatch.setattr(event_stream, "time", clock)
    writer.is_away = True
    for second in (0.0, 0.5, 0.9):
        clock.now = 100.0 + second
        stream.done("j1", Status.COMPLETED)
    assert caplog.text.count("not written") == 1
    assert "password" not in caplog.text
    writer.is_away = False
    stream.done("j2", Status.COMPLETED)
    assert writer.sent == []
    clock.now = 101.0
    stream.done("j3", Status.COMPLETED)
    assert [job_id for events in writer.sent for job_id, _, _ in events] == ["j3"]
