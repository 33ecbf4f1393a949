"""What gunicorn sends of an answer, and in how many pieces."""

from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.http import wsgi

from stack import one_write
from stack.one_write import LARGE_BYTES, OneWrite, write_at_once

JSON = ("Content-Type", "application/json")


@pytest.fixture
def sent() -> list[bytes]:
    return []


def _answer(sent: list[bytes], method: str = "GET") -> Any:
    """An answer to a request whose connection notes what it is to send."""
    request = SimpleNamespace(version=(1, 1), method=method, should_close=lambda: False)
    return OneWrite(request, SimpleNamespace(sendall=sent.append), Config())


def test_head_and_body_are_one_write(sent: list[bytes]) -> None:
    """With its length known."""
    answer = _answer(sent)
    answer.start_response("200 OK", [JSON, ("Content-Length", "2")])
    answer.write(b"{}")
    answer.close()
    (whole,) = sent
    head, _, body = whole.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nContent-Length: 2" in head
    assert body == b"{}"


def test_a_stream_goes_out_piece_by_piece(sent: list[bytes]) -> None:
    """The first with the head, each further one when it comes, then the end."""
    answer = _answer(sent)
    answer.start_response("200 OK", [JSON])
    answer.write(b"one")
    assert len(sent) == 1 and sent[0].endswith(b"\r\n\r\n3\r\none\r\n")
    answer.write(b"two")
    answer.close()
    assert sent[1:] == [b"3\r\ntwo\r\n", b"0\r\n\r\n"]


def test_whoever_waits_for_a_piece_has_the_processor_next(
    sent: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each write, and not before it."""
    at: list[int] = []
    monkeypatch.setattr(one_write, "give_way", lambda: at.append(len(sent)))
    answer = _answer(sent)
    answer.start_response("200 OK", [JSON, ("Content-Length", "4")])
    answer.write(b"{}")
    answer.write(b"{}")
    assert at == [1, 2]


def test_a_large_piece_is_not_copied(sent: list[bytes]) -> None:
    """It goes out behind the head, the very object."""
    answer, large = _answer(sent), b"x" * (LARGE_BYTES + 1)
    answer.start_response("200 OK", [JSON, ("Content-Length", str(len(large)))])
    answer.write(large)
    assert len(sent) == 2 and sent[1] is large


@pytest.mark.parametrize(("method", "status"), [("HEAD", "200 OK"), ("GET", "304 Not Modified")])
def test_an_answer_without_a_body_has_its_head(sent: list[bytes], method: str, status: str) -> None:
    """Whether or not something empty was written."""
    for pieces in ([], [b""]):
        sent.clear()
        answer = _answer(sent, method)
        answer.start_response(status, [JSON, ("Content-Length", "2")])
        for piece in pieces:
            answer.write(piece)
        answer.close()
        assert len(sent) == 1 and sent[0].endswith(b"\r\n\r\n")


def test_a_wrong_piece_is_told_and_sends_nothing(sent: list[bytes]) -> None:
    """As gunicorn tells it; the answer's connection is its own again."""
    answer = _answer(sent)
    answer.start_response("200 OK", [JSON])
    with pytest.raises(TypeError, match="is not a byte"):
        answer.write("text")
    assert sent == []
    assert answer.sock.sendall == sent.append


def test_gunicorn_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the name under which it makes its answers."""
    monkeypatch.setattr(wsgi, "Response", wsgi.Response)
    write_at_once()
    assert wsgi.Response is OneWrite
