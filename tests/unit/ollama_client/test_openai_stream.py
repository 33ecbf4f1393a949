"""Recorded streams of the /v1 routes, as the client reads them."""

from collections.abc import Iterator
from typing import Any

import pytest

from ollama_client.errors import ConnectionCut, GenerationAborted, StreamError
from ollama_client.openai_stream import OpenAIStream
from ollama_client.transport import OllamaTransport
from tests.replay import LAST_CHUNK, chunk, close, head_of, recording, replaying, script_of, send

HEAD = recording("v1_chat_stream")["response"]


def _stream(*steps: Any) -> Iterator[OpenAIStream]:
    with replaying(list(steps)) as server:
        transport = OllamaTransport(server.url)
        with transport.stream_openai("/v1/chat/completions", {"model": "m", "messages": []}) as stream:
            yield stream
        transport.close()


def _body(text: str) -> list[Any]:
    return [send(head_of(HEAD)), send(chunk(text.encode())), send(LAST_CHUNK)]


@pytest.mark.parametrize("name", ["v1_chat_stream", "v1_chat_stream_usage", "v1_completions_stream"])
def test_a_recorded_stream_is_read_to_its_end(name: str) -> None:
    """Every event, as it came, [DONE] last."""
    response = recording(name)["response"]
    for stream in _stream(*script_of(response)):
        lines = [stream.line.decode() for _ in stream]
        assert [*lines, stream.line.decode()] == [line for line in response["lines"] if line]
        assert stream.line == b"data: [DONE]"


def test_an_error_that_ollama_loses_is_one() -> None:
    """A chunk without a model says so."""
    for stream in _stream(*script_of(recording("midstream_kill_v1_stream")["response"])):
        with pytest.raises(StreamError, match="an error was encountered"):
            list(stream)


def test_an_error_that_is_told_is_told_on() -> None:
    """In OpenAI's shape."""
    for stream in _stream(*_body('data: {"error": {"message": "boom"}}\n\n')):
        with pytest.raises(StreamError, match="boom"):
            list(stream)


def test_a_stream_without_an_end_was_given_up() -> None:
    """Ended properly, but not [DONE]."""
    for stream in _stream(*script_of(recording("token_repeat_v1_stream")["response"])):
        with pytest.raises(GenerationAborted):
            list(stream)


def test_a_stream_that_is_cut_is_an_outage() -> None:
    """However much had come."""
    text = 'data: {"model": "m", "choices": []}\n\n: comment\n\ndata: {"mo'
    for stream in _stream(send(head_of(HEAD)), send(chunk(text.encode())), close):
        with pytest.raises(ConnectionCut):
            list(stream)
