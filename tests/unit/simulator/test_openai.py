"""The OpenAI routes answer from the same models, slots and text."""

import array
import base64
import json

import pytest

from ollama_client.simulator.answers import expected_text
from ollama_client.simulator.plan import THINKING_TOKENS
from tests.unit.simulator.asking import Exchange, ask

CHAT, COMPLETIONS, EMBEDDINGS = "/v1/chat/completions", "/v1/completions", "/v1/embeddings"


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


CHAT_FIELD = "Go struct field ChatCompletionRequest"
HELLO = {"model": "llama3.2:1b", "messages": [{"role": "user", "content": "hi"}]}
PROMPT = {"model": "llama3.2:1b", "prompt": "hi"}
INPUT = {"model": "all-minilm", "input": "a"}


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        (CHAT, {**HELLO, "model": ""}, 400, "model is required"),
        (CHAT, {**HELLO, "model": "nosuch"}, 404, "model 'nosuch' not found"),
        (CHAT, {**HELLO, "messages": []}, 400, "[] is too short - 'messages'"),
        (
            CHAT,
            {**HELLO, "messages": "hi"},
            400,
            f"json: cannot unmarshal string into {CHAT_FIELD}.messages of type []openai.Message",
        ),
        (
            CHAT,
            {**HELLO, "tools": {"a": 1}},
            400,
            f"json: cannot unmarshal object into {CHAT_FIELD}.tools of type []api.Tool",
        ),
        (CHAT, [], 400, "json: cannot unmarshal array into Go value of type openai.ChatCompletionRequest"),
        (
            COMPLETIONS,
            {**PROMPT, "prompt": 3},
            400,
            "json: cannot unmarshal number into Go struct field CompletionRequest.prompt of type string",
        ),
        (COMPLETIONS, {**PROMPT, "model": None}, 400, "model is required"),
        (EMBEDDINGS, {**INPUT, "input": []}, 400, "invalid input"),
        (EMBEDDINGS, {"model": "all-minilm"}, 400, "invalid input"),
        (
            EMBEDDINGS,
            {**INPUT, "dimensions": "x"},
            400,
            "json: cannot unmarshal string into Go struct field EmbedRequest.dimensions of type int",
        ),
        (EMBEDDINGS, {**INPUT, "model": "nosuch"}, 404, 'model "nosuch" not found, try pulling it first'),
        ("/v1/models/nosuch", None, 404, "model 'nosuch' not found"),
    ],
)
def test_a_refusal_has_openais_shape(ollama, path, body, status, message):
    """Its type says whose fault it is; parameter and code are never given."""
    kind = "not_found_error" if status == 404 else "invalid_request_error"
    answered, text = ask(ollama.port, "GET" if body is None else "POST", path, body)
    assert answered == status
    assert json.loads(text) == {
        "error": {"message": message, "type": kind, "param": None, "code": None},
    }


def test_a_completion_answers_what_api_generate_would(ollama):
    """Whole or streamed, with its counts where they are asked for."""
    body = {**PROMPT, "max_tokens": 5}
    whole = json.loads(ask(ollama.port, "POST", COMPLETIONS, body)[1])
    assert whole["choices"][0]["text"] == expected_text("generate", "llama3.2:1b", "hi", 5)
    events = _events(ollama, COMPLETIONS, {**body, "stream_options": {"include_usage": True}})
    assert "".join(event["choices"][0]["text"] for event in events[:-1]) == whole["choices"][0]["text"]
    assert events[-2]["choices"][0]["finish_reason"] == "length"
    assert (events[-1]["choices"], events[-1]["usage"]) == ([], whole["usage"])
    assert whole["usage"]["completion_tokens"] == 5


def test_a_streamed_chat_has_thoughts_and_log_probabilities(ollama):
    """A chunk a token, thoughts under `reasoning`, the alternatives as many as asked for."""
    body = {**HELLO, "model": "qwen3:0.6b", "max_tokens": 20, "logprobs": True, "top_logprobs": 2}
    choices = [event["choices"][0] for event in _events(ollama, CHAT, body)]
    thoughts = [choice for choice in choices if choice["delta"].get("reasoning")]
    assert len(thoughts) == THINKING_TOKENS
    assert all(choice["delta"]["content"] == "" for choice in thoughts)
    assert [len(choice["logprobs"]["content"][0]["top_logprobs"]) for choice in choices[:-1]] == [2] * 20
    whole = json.loads(ask(ollama.port, "POST", CHAT, body)[1])["choices"][0]
    assert len(whole["logprobs"]["content"]) == 20


def test_a_tool_call_comes_as_text_of_json(ollama):
    """OpenAI's clients parse the arguments themselves; the reason is the call."""
    ollama.control(tool_calls=True)
    parameters = {"type": "object", "properties": {"city": {"const": "Rome"}}}
    body = {**HELLO, "tools": [{"type": "function", "function": {"name": "f", "parameters": parameters}}]}
    choice = json.loads(ask(ollama.port, "POST", CHAT, body)[1])["choices"][0]
    (call,) = choice["message"]["tool_calls"]
    assert call["function"] == {"name": "f", "arguments": '{"city":"Rome"}'}
    assert choice["finish_reason"] == "tool_calls"
    events = _events(ollama, CHAT, body)
    assert events[0]["choices"][0]["delta"]["tool_calls"][0]["function"] == call["function"]
    assert events[-1]["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(
    ("response_format", "is_json"),
    [
        ({"type": "json_object"}, True),
        ({"type": "json_schema", "json_schema": {"schema": {"const": {"a": 1}}}}, True),
        ({"type": "json_schema"}, False),
        ({"type": "text"}, False),
        ("json", False),
    ],
)
def test_a_response_format_is_kept_to(ollama, response_format, is_json):
    """An object of any kind, one of a schema, or text as without it."""
    body = {**HELLO, "response_format": response_format}
    content = json.loads(ask(ollama.port, "POST", CHAT, body)[1])["choices"][0]["message"]["content"]
    assert content.startswith("{") is is_json
    if is_json:
        assert isinstance(json.loads(content), dict)


def test_an_error_amid_a_stream_loses_its_words(ollama):
    """A chunk of no model and no end mark, as measured."""
    ollama.control(fail_next={"kind": "stream_error", "after_tokens": 2})
    events = _events(ollama, CHAT, HELLO, end="")
    assert (len(events), events[-1]["model"], events[-1]["choices"][0]["delta"]["content"]) == (3, "", "")


def test_an_answer_given_up_has_no_reason_and_no_counts(ollama):
    """200 all the same."""
    ollama.control(fail_next={"kind": "abort_without_done", "count": 2})
    for path, body in ((CHAT, HELLO), (COMPLETIONS, PROMPT)):
        whole = json.loads(ask(ollama.port, "POST", path, body)[1])
        assert whole["choices"][0]["finish_reason"] is None
        assert whole["usage"] == {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


def test_embeddings_are_numbers_or_base64_of_them(ollama):
    """The same vector, cut to the length that is asked for."""
    numbers = json.loads(ask(ollama.port, "POST", EMBEDDINGS, {**INPUT, "dimensions": 8})[1])
    packed = {**INPUT, "dimensions": 8, "encoding_format": "base64"}
    text = json.loads(ask(ollama.port, "POST", EMBEDDINGS, packed)[1])["data"][0]["embedding"]
    assert numbers["usage"]["total_tokens"] == numbers["usage"]["prompt_tokens"] > 0
    vector = numbers["data"][0]["embedding"]
    assert array.array("f", base64.b64decode(text)).tolist() == pytest.approx(vector, abs=1e-6)
    assert len(vector) == 8


def test_the_models_are_listed_and_told_singly(ollama):
    """By the name that was asked for."""
    listed = json.loads(ask(ollama.port, "GET", "/v1/models")[1])["data"]
    assert "other:latest" in [model["id"] for model in listed]
    one = json.loads(ask(ollama.port, "GET", "/v1/models/other")[1])
    assert (one["id"], one["object"], one["owned_by"]) == ("other", "model", "library")


def _events(ollama, path, body, end="[DONE]"):
    """The chunks of a stream, its end mark taken off."""
    text = ask(ollama.port, "POST", path, {**body, "stream": True})[1]
    told = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    if end:
        assert told.pop() == end
    return [json.loads(event) for event in told]
