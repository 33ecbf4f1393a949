"""The OpenAI routes answer from the same models, slots and text."""

import json

from ollama_client.simulator.answers import expected_text
from tests.unit.simulator.asking import Exchange

CHAT = "/v1/chat/completions"


def _ask(ollama, model, content, **fields):
    body = {"model": model, "messages": [{"role": "user", "content": content}], **fields}
    return Exchange(ollama.port, CHAT, body, job=fields.pop("user", None)).finish()


def test_a_chat_answers_what_api_chat_would(ollama):
    """The same prompt has the same answer on both routes."""
    message = _ask(ollama, "llama3.2:1b", "hi", max_tokens=9).lines()[0]["choices"][0]["message"]
    messages = [{"role": "user", "content": "hi"}]
    assert message["content"] == expected_text("chat", "llama3.2:1b", messages, 9)


def test_content_in_parts_is_one_text(ollama):
    """As OpenAI's clients send it with images."""
    parts = [{"type": "text", "text": "h"}, {"type": "text", "text": "i"}]
    whole, split = (_ask(ollama, "llama3.2:1b", content) for content in ("hi", parts))
    assert [a.lines()[0]["choices"] for a in (whole,)] == [a.lines()[0]["choices"] for a in (split,)]


def test_thoughts_come_as_reasoning(ollama):
    """Unless no effort is wanted."""
    thought = _ask(ollama, "qwen3:0.6b", "hi").lines()[0]["choices"][0]["message"]
    assert thought["reasoning"].startswith("[simulated]")
    plain = _ask(ollama, "qwen3:0.6b", "hi", reasoning_effort="none").lines()[0]["choices"][0]["message"]
    assert "reasoning" not in plain


def test_a_stop_text_is_one_sequence(ollama):
    """OpenAI takes a text or a list."""
    messages = [{"role": "user", "content": "hi"}]
    third = expected_text("chat", "llama3.2:1b", messages, 5).split()[3]
    choice = _ask(ollama, "llama3.2:1b", "hi", stop=f" {third}").lines()[0]["choices"][0]
    assert choice["message"]["content"] == expected_text("chat", "llama3.2:1b", messages, 3)
    assert choice["finish_reason"] == "stop"


def test_a_request_is_logged_with_its_route(ollama):
    """Like any other."""
    _ask(ollama, "llama3.2:1b", "hi", user="openai-job")
    assert [line["path"] for line in ollama.served(job="openai-job")] == [CHAT, CHAT]


def test_wrong_fields_are_refused(ollama):
    """In OpenAI's shape, never with a crash."""
    for fields in ({"messages": "x"}, {"messages": [3]}, {"max_tokens": "x"}, {"top_logprobs": "x"}):
        body = {"model": "llama3.2:1b", "messages": [{"role": "user", "content": "hi"}], **fields}
        answer = Exchange(ollama.port, CHAT, body).finish()
        assert answer.lines()[0]["error"]["message"], json.dumps(fields)
