"""A completion put together from its chunks."""

from typing import Any

from jobs.wire import WIRE_ROUTES
from tasks.openai_answer import OpenAIAnswer

CHAT = WIRE_ROUTES["/v1/chat/completions"]
TEXT = WIRE_ROUTES["/v1/completions"]
HEAD = {"id": "c1", "object": "chat.completion.chunk", "model": "m"}


def _chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    return {**HEAD, "choices": [{"index": 0, "delta": delta, "finish_reason": finish, **more}]}


def test_texts_grow_and_the_rest_is_set() -> None:
    """Role, finish and head stand for themselves; what is unknown is kept."""
    answer = OpenAIAnswer(CHAT)
    assert answer.add(_chunk({"role": "assistant", "content": "It "})) == ("It ", "")
    assert answer.add(_chunk({"role": "assistant", "content": "", "reasoning": "hm"})) == ("", "hm")
    answer.add(_chunk({"role": "assistant", "content": "is."}))
    answer.add(_chunk({"role": "assistant", "content": None}, "stop", novelty=1))
    answer.add({**HEAD, "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}})
    message = {"role": "assistant", "content": "It is.", "reasoning": "hm"}
    assert answer.whole() == {
        "id": "c1",
        "object": "chat.completion",
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "novelty": 1}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2},
    }
    assert answer.text() == "It is."
    assert answer.figures() == {"prompt_eval_count": 3, "eval_count": 2}


def test_lists_grow() -> None:
    """Log probabilities, and tool calls."""
    answer = OpenAIAnswer(CHAT)
    answer.add(_chunk({"content": "", "tool_calls": [{"id": "1"}]}, logprobs={"content": [1]}))
    answer.add(_chunk({"content": "", "tool_calls": [{"id": "2"}]}, logprobs={"content": [2]}))
    (choice,) = answer.whole()["choices"]
    assert choice["message"]["tool_calls"] == [{"id": "1"}, {"id": "2"}]
    assert choice["logprobs"] == {"content": [1, 2]}


def test_a_text_completion_has_no_message() -> None:
    """Its text is the choice's own."""
    answer = OpenAIAnswer(TEXT)
    for text in ("The ", "sky"):
        assert answer.add({"object": "text_completion", "choices": [{"text": text, "index": 0}]}) == (
            text,
            "",
        )
    assert answer.whole()["choices"] == [{"index": 0, "text": "The sky"}]
    assert answer.whole()["object"] == "text_completion"
    assert answer.text() == "The sky"


def test_an_answer_that_was_given_up_counts_nothing() -> None:
    """As Ollama says it."""
    answer = OpenAIAnswer(CHAT)
    assert answer.whole()["usage"] == {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    assert answer.text() == ""
