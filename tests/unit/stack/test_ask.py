"""Asking: the answer as it comes, whatever happens to the connection, and how it ended."""

import json
import os
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from settings import Settings
from stack import ask as asking
from stack import rest
from stack.ask import SETTLING_SECONDS, ask, follow, report, submit_when_settled
from stack.errors import StackError
from stack.places import Places, Running
from stack.progress import Progress
from stack.rest import Api, Refused
from stack.server_sent_events import Event

RUNNING = Running("http://api", "http://flower", ("http://one:1", "http://two:2"), simulated=False)
CUT = b"id: 1-2\nevent: tok"
JOB = {"job_id": "j1", "status": "pending", "model": "m"}


class ApiWith:
    """An API that sends these events."""

    def __init__(self, *events: tuple[str, dict[str, Any]]) -> None:
        self._events = events

    def events(self, _job_id: str) -> Iterator[Event]:
        return (Event(kind, data, "") for kind, data in self._events)


def followed(*events: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    return follow(ApiWith(*events), JOB, Progress())  # type: ignore[arg-type]


def done(text: str | None, **fields: Any) -> tuple[str, dict[str, Any]]:
    return "done", {**JOB, "status": "completed", "result_data": text, **fields}


def test_text_is_written_as_it_comes(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing else is on standard output, and it ends with a line break."""
    job = followed(("status", JOB), ("token", {"text": "Hel"}), ("token", {"text": "lo"}), done("Hello"))
    assert job["status"] == "completed"
    assert capsys.readouterr().out == "Hello\n"


def test_text_whose_events_were_lost_is_completed_from_the_row(capsys: pytest.CaptureFixture[str]) -> None:
    """Events are a convenience."""
    followed(("token", {"text": "Hel"}), done("Hello"))
    assert capsys.readouterr().out == "Hello\n"


def test_a_new_attempt_is_announced(capsys: pytest.CaptureFixture[str]) -> None:
    """The text so far is void, and what was printed can't be taken back."""
    followed(("token", {"text": "Hel"}), ("restart", {}), ("token", {"text": "Hello"}), done("Hello"))
    said = capsys.readouterr()
    assert said.out == "HelHello\n"
    assert "The attempt broke off" in said.err


def test_thinking_is_told_and_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """Standard output is the answer's."""
    followed(("token", {"text": "", "thinking": "hm"}), done("Yes"))
    said = capsys.readouterr()
    assert said.out == "Yes\n"
    assert "m is thinking" in said.err


@pytest.mark.parametrize(
    ("worker", "where"),
    [
        ("worker-2@here", "the Ollama at http://two:2"),
        ("worker-1-8000@here", "the Ollama at http://one:1"),
        ("paddock-77@elsewhere", "the Ollama of paddock-77@elsewhere"),
    ],
)
def test_the_summary_says_which_ollama_it_was(
    capsys: pytest.CaptureFixture[str], worker: str, where: str
) -> None:
    """By the worker's name; one that was started by hand is only named."""
    assert report({**JOB, "status": "completed", "worker": worker}, RUNNING) == 0
    assert f"m on {where}" in capsys.readouterr().err


def test_a_failure_is_told_with_code_message_and_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    """And the exit status is not zero."""
    error = {"code": "ollama_unavailable", "message": "refused", "attempt_errors": []}
    assert report({**JOB, "status": "failed", "error": error}, RUNNING) == 1
    said = capsys.readouterr().err
    assert "failed [ollama_unavailable]: refused" in said
    assert "ollama serve" in said


def test_a_cancelled_job_is_no_success(capsys: pytest.CaptureFixture[str]) -> None:
    """It has no error of its own."""
    assert report({**JOB, "status": "cancelled", "error": None}, RUNNING) == 1
    assert "j1 cancelled" in capsys.readouterr().err


def test_a_prompt_that_is_no_utf_8_is_told_in_one_line() -> None:
    """JSON could not carry it; the line says where it is wrong."""
    with pytest.raises(StackError, match=r"PROMPT is not UTF-8 text \(byte 3\)"):
        ask(Settings(_env_file=None), b"caf\xe9", b"")


@pytest.fixture
def server() -> Iterator[tuple[ThreadingHTTPServer, list[Any]]]:
    """An API whose answers a test lists: a status and body each; one that ends in CUT is cut off."""
    answers: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            self.server.seen.append(dict(self.headers))  # type: ignore[attr-defined]
            if length := int(self.headers.get("Content-Length", 0)):
                self.rfile.read(length)
            status, body = answers.pop(0)
            self.close_connection = True
            if status is None:
                return  # hang up without an answer
            self.send_response(status)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(body), body))
            if not body.endswith(CUT):
                self.wfile.write(b"0\r\n\r\n")

        do_GET = do_POST = answer

        def log_message(self, *_: object) -> None:
            pass

    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.seen = []  # type: ignore[attr-defined]
    thread = Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made, answers
    made.shutdown()
    thread.join()
    made.server_close()


def an_event(number: int, kind: str, data: dict[str, Any]) -> bytes:
    return f"id: 1-{number}\nevent: {kind}\ndata: {json.dumps(data)}\n\n".encode()


@pytest.mark.usefixtures("quick")
def test_a_cut_stream_goes_on_where_it_was(server: tuple[ThreadingHTTPServer, list[Any]]) -> None:
    """Through a restart of the web process, by the last event's id."""
    http, answers = server
    answers += [
        (200, an_event(1, "token", {"text": "a"}) + CUT),
        (503, b"{}"),
        (None, b""),
        (200, an_event(2, "token", {"text": "b"}) + an_event(3, "done", {})),
    ]
    with Api(f"http://127.0.0.1:{http.server_port}", "key") as api:
        assert [event.id for event in api.events("j1")] == ["1-1", "1-2", "1-3"]
    resumed = [headers.get("Last-Event-ID") for headers in http.seen]  # type: ignore[attr-defined]
    assert resumed == [None, "1-1", "1-1", "1-1"]


@pytest.mark.usefixtures("quick")
def test_a_submit_whose_answer_was_lost_is_sent_again_as_the_same(
    server: tuple[ThreadingHTTPServer, list[Any]],
) -> None:
    """One question makes one job."""
    http, answers = server
    answers += [(None, b""), (202, b'{"job_id": "j1"}')]
    with Api(f"http://127.0.0.1:{http.server_port}", "key") as api:
        assert api.submit({"prompt": "x"}) == {"job_id": "j1"}
    first, second = http.seen  # type: ignore[attr-defined]
    assert first["Idempotency-Key"] == second["Idempotency-Key"]
    assert first["Authorization"] == "Bearer key"


@pytest.mark.parametrize(
    ("status", "problem", "line"),
    [
        (422, {"detail": "no such", "code": "bad", "errors": {"model": ["?"]}}, "Refused: no such {"),
        (401, {"detail": "unknown"}, "The API does not know this key"),
        (429, ["odd"], "Refused: HTTP 429"),
        (500, None, "Refused: HTTP 500"),
    ],
)
def test_a_refusal_is_the_apis_own_reason(
    server: tuple[ThreadingHTTPServer, list[Any]], status: int, problem: Any, line: str
) -> None:
    """In one line, with its code."""
    http, answers = server
    answers.append((status, json.dumps(problem).encode() if problem else b"oops"))
    with (
        Api(f"http://127.0.0.1:{http.server_port}", "key") as api,
        pytest.raises(Refused) as raised,
    ):
        api.submit({})
    assert str(raised.value).startswith(line)
    assert raised.value.status == 1


class SettlingApi:
    """Refuses so often as no model is known, and knows them from this question on."""

    def __init__(self, refusals: int, knows_from: int, code: str = "no_model") -> None:
        self._refusals, self._knows_from, self._code = refusals, knows_from, code
        self.submits = 0

    def submit(self, _body: dict[str, Any]) -> dict[str, Any]:
        self.submits += 1
        if self.submits <= self._refusals:
            raise Refused("No model is known", self._code)
        return JOB

    def knows_models(self) -> bool:
        return self.submits >= self._knows_from


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("api", "age", "submits", "is_taken"),
    [
        (SettlingApi(3, 3), 1.0, 4, True),  # known just after the third was refused: once more
        (SettlingApi(9, 3), 1.0, 4, False),  # known, and refused for it
        (SettlingApi(9, 9), SETTLING_SECONDS + 1, 1, False),
        (SettlingApi(9, 9, "bad"), 1.0, 1, False),
    ],
)
def test_a_question_waits_until_the_models_are_known(
    tmp_path: Path, api: SettlingApi, age: float, submits: int, is_taken: bool
) -> None:
    """Just after a start, and only for that."""
    places = Places(tmp_path)
    places.note.touch()
    os.utime(places.note, (time.time() - age,) * 2)
    try:
        answer = submit_when_settled(api, {}, Progress(), places)  # type: ignore[arg-type]
    except Refused:
        answer = {}
    assert (bool(answer), api.submits) == (is_taken, submits)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the pauses between tries."""
    monkeypatch.setattr(rest, "RECONNECT_AFTER_SECONDS", 0.0)
    monkeypatch.setattr(asking, "SETTLE_EVERY_SECONDS", 0.0)
