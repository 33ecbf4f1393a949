"""Lines and chunks of a streamed answer, without a network."""

import pytest

from ollama_client.asking import joined_message
from ollama_client.errors import GenerationAborted, InvalidResponse, StreamError
from ollama_client.stream import LineSplitter, OllamaStream, parsed_object, text_of


class CannedAnswer:
    """An answer whose portions are given."""

    def __init__(self, *portions, content_type="application/x-ndjson"):
        self.content_type = content_type
        self.portions = list(portions)
        self.closed = self.drained = False

    def read(self):
        return self.portions.pop(0) if self.portions else b""

    def read_all(self):
        return b"".join(self.portions)

    def continued(self):
        pass

    def drain(self):
        self.drained = True

    def close(self):
        self.closed = True


def test_lines_come_out_whole():
    """Whatever the portions, in order, without blank ones."""
    splitter = LineSplitter()
    assert splitter.feed(b'{"a') == []
    assert splitter.feed(b'":1}\n\n{"b":2}\n{') == [b'{"a":1}', b'{"b":2}']
    assert splitter.rest() == [b"{"]
    assert splitter.rest() == []


def test_an_endless_line_is_refused(monkeypatch):
    """It would fill the memory."""
    monkeypatch.setattr("ollama_client.stream.MAX_LINE_BYTES", 10)
    with pytest.raises(InvalidResponse):
        LineSplitter().feed(b"x" * 11)


def test_the_chunk_with_done_is_the_last():
    """What follows it is drained, and the answer closed."""
    answer = CannedAnswer(b'{"response":"a","done":false}\n{"response":"","done":true,"eval_count":1}\n')
    stream = OllamaStream(answer)
    assert [chunk["response"] for chunk in stream] == ["a", ""]
    assert stream.final == {"response": "", "done": True, "eval_count": 1}
    assert answer.drained
    assert answer.closed
    assert list(stream) == []


def test_a_last_line_needs_no_line_end():
    """The end of the body ends it."""
    assert list(OllamaStream(CannedAnswer(b'{"done":true}'))) == [{"done": True}]


def test_an_error_line_ends_the_stream():
    """It carries Ollama's text and body, and closes the answer."""
    answer = CannedAnswer(b'{"response":"a","done":false}\n{"error":"boom"}\n')
    with pytest.raises(StreamError, match="boom") as caught:
        list(OllamaStream(answer))
    assert (caught.value.status, caught.value.body) == (200, {"error": "boom"})
    assert answer.closed


def test_one_json_object_is_one_final_chunk():
    """Answers to load and unload requests don't stream, nor need they be on one line."""
    stream = OllamaStream(
        CannedAnswer(b'{\n"done": true,\n"done_reason": "load"}', content_type="application/json")
    )
    assert list(stream) == [stream.final] == [{"done": True, "done_reason": "load"}]


@pytest.mark.parametrize(
    ("portions", "kind"),
    [
        ([b'{"message":{"content":"ab"},"done":false}\n'], "application/x-ndjson"),
        ([b'{"message":{"content":"ab"},"done":false}'], "application/json"),
    ],
)
def test_an_end_without_done_keeps_the_text(portions, kind):
    """Streamed or not."""
    with pytest.raises(GenerationAborted) as caught:
        list(OllamaStream(CannedAnswer(*portions, content_type=kind)))
    assert caught.value.text == "ab"


def test_leaving_the_context_closes_the_answer():
    """Even when nothing was read."""
    answer = CannedAnswer(b'{"done":true}\n')
    with OllamaStream(answer):
        pass
    assert answer.closed


def test_text_is_found_in_both_shapes():
    """/api/generate and /api/chat differ; other answers have none."""
    assert text_of({"response": "a"}) == "a"
    assert text_of({"message": {"content": "b"}}) == "b"
    assert text_of({"embeddings": []}) == ""


@pytest.mark.parametrize("raw", [b"", b"secret", b"[]", b"1", b"\xff"])
def test_what_is_no_object_is_invalid_and_not_quoted(raw):
    """It may be somebody's answer."""
    with pytest.raises(InvalidResponse) as caught:
        parsed_object(raw)
    assert "secret" not in str(caught.value)


def test_a_message_is_joined_from_its_pieces():
    """Content and thinking are concatenated, tool calls collected."""
    pieces = [
        {"message": {"content": "", "thinking": "hm"}},
        {"message": {"content": "a", "thinking": "m", "tool_calls": [{"id": 1}]}},
        {"message": {"content": "b"}, "done": True},
    ]
    assert joined_message(pieces) == {
        "role": "assistant",
        "content": "ab",
        "thinking": "hmm",
        "tool_calls": [{"id": 1}],
    }
