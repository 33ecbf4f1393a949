"""Requests that Ollama refuses, with the status and the words that it has for each."""

import json

import pytest

from tests.unit.simulator.asking import Exchange, ask, generate

GENERATE, CHAT, EMBED, LEGACY, SHOW = (
    "/api/generate",
    "/api/chat",
    "/api/embed",
    "/api/embeddings",
    "/api/show",
)
TOO_LONG = "the input length exceeds the context length"
TOOLS = [{"type": "function", "function": {"name": "f"}}]
MESSAGES = [{"role": "user", "content": "hi"}]
THINK = 'invalid think value: must be "high", "medium", "low", true, or false'


def _field(kind, wanted, of_type, request="GenerateRequest"):
    return f"json: cannot unmarshal {kind} into Go struct field {request}.{wanted} of type {of_type}"


REFUSED = [
    (GENERATE, {"model": ""}, 404, "model '' not found"),
    (GENERATE, {"model": "a b"}, 400, "invalid model name"),
    (GENERATE, {"model": "nosuch"}, 404, "model 'nosuch' not found"),
    (GENERATE, {"model": "big-cloud"}, 403, "ollama cloud is disabled: remote model is unavailable"),
    (
        GENERATE,
        {"raw": True, "system": "x"},
        400,
        "raw mode does not support template, system, or context",
    ),
    (GENERATE, {"suffix": "x"}, 400, "registry.ollama.ai/library/other:latest does not support insert"),
    (GENERATE, {"template": "{{ .Prompt "}, 500, "template: :1: unclosed action"),
    (GENERATE, {"think": True}, 400, '"other" does not support thinking'),
    (GENERATE, {"think": "loud"}, 400, THINK),
    (GENERATE, {"model": "all-minilm"}, 400, '"all-minilm" does not support generate'),
    (GENERATE, {"keep_alive": []}, 400, "Unsupported type: '[]interface {}'"),
    (GENERATE, {"keep_alive": {}}, 400, "Unsupported type: 'map[string]interface {}'"),
    (GENERATE, {"logprobs": True, "top_logprobs": 21}, 400, "top_logprobs must be between 0 and 20"),
    (GENERATE, {"prompt": 3}, 400, _field("number", "prompt", "string")),
    (GENERATE, {"stream": "yes"}, 400, _field("string", "stream", "bool")),
    (GENERATE, {"raw": 1.5}, 400, _field("number", "raw", "bool")),
    (GENERATE, {"top_logprobs": True}, 400, _field("bool", "top_logprobs", "int")),
    (GENERATE, {"context": {}}, 400, _field("object", "context", "[]int")),
    (GENERATE, {"options": []}, 400, _field("array", "options", "map[string]interface {}")),
    (GENERATE, {"images": [3]}, 400, "json: cannot unmarshal number into Go value of type api.ImageData"),
    (GENERATE, {"images": ["%%%"]}, 400, "illegal base64 data at input byte 0"),
    (GENERATE, {"images": ["iVBOR"]}, 400, "illegal base64 data at input byte 5"),
    (GENERATE, {"options": {"num_ctx": "x"}}, 500, 'option "num_ctx" must be of type integer'),
    (GENERATE, {"options": {"temperature": True}}, 500, 'option "temperature" must be of type float32'),
    (GENERATE, {"options": {"stop": "x"}}, 500, 'option "stop" must be of type array'),
    (GENERATE, {"options": {"use_mmap": 1}}, 500, 'option "use_mmap" must be of type boolean'),
    (CHAT, {"model": ""}, 400, "model is required"),
    (CHAT, {"model": "all-minilm"}, 400, '"all-minilm" does not support chat'),
    (CHAT, {"tools": TOOLS}, 400, "registry.ollama.ai/library/other:latest does not support tools"),
    (CHAT, {"messages": "hi"}, 400, _field("string", "messages", "[]api.Message", "ChatRequest")),
    (CHAT, {"messages": [{**MESSAGES[0], "images": ["%"]}]}, 400, "illegal base64 data at input byte 0"),
    (CHAT, {"messages": [{**MESSAGES[0], "content": "x " * 9000}], "truncate": False}, 400, TOO_LONG),
    (EMBED, {"model": ""}, 404, "model '' not found"),
    (EMBED, {"model": "nosuch"}, 404, 'model "nosuch" not found, try pulling it first'),
    (EMBED, {"input": "x " * 9000, "truncate": False}, 400, TOO_LONG),
    (EMBED, {"dimensions": "x"}, 400, _field("string", "dimensions", "int", "EmbedRequest")),
    *((EMBED, {"input": wrong}, 400, "invalid input type") for wrong in (3, 0, False, {}, ["a", 3])),
    (LEGACY, {"model": "nosuch"}, 404, 'model "nosuch" not found, try pulling it first'),
    (SHOW, {"model": ""}, 400, "model is required"),
    (SHOW, {"model": "nosuch"}, 404, "model 'nosuch' not found"),
]
PLAIN = {
    GENERATE: {"model": "other", "prompt": "hi", "stream": False},
    CHAT: {"model": "other", "messages": MESSAGES, "stream": False},
    EMBED: {"model": "all-minilm", "input": "a"},
    LEGACY: {"model": "all-minilm", "prompt": "a"},
    SHOW: {"model": "other"},
}


@pytest.mark.parametrize(("path", "fields", "status", "message"), REFUSED)
def test_a_request_is_refused_in_ollamas_words(ollama, path, fields, status, message):
    """One wrong field in a request that is right without it."""
    refused = ask(ollama.port, "POST", path, {**PLAIN[path], **fields})
    assert (refused[0], json.loads(refused[1])) == (status, {"error": message})


@pytest.mark.parametrize("path", PLAIN)
def test_without_the_wrong_field_it_is_answered(ollama, path):
    """So it was the field that was refused."""
    assert ask(ollama.port, "POST", path, PLAIN[path])[0] == 200


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        (GENERATE, b"[1]", "json: cannot unmarshal array into Go value of type api.GenerateRequest"),
        (CHAT, b"true", "json: cannot unmarshal bool into Go value of type api.ChatRequest"),
        (EMBED, b'"x"', "json: cannot unmarshal string into Go value of type api.EmbedRequest"),
        (SHOW, b"3", "json: cannot unmarshal number into Go value of type api.ShowRequest"),
        (CHAT, b"null", "model is required"),
        (CHAT, b"", "missing request body"),
    ],
)
def test_a_body_that_is_no_object_is_refused(ollama, path, body, message):
    """`null` is an empty object to Go."""
    refused = ask(ollama.port, "POST", path, body)
    assert (refused[0], json.loads(refused[1])) == (400, {"error": message})


@pytest.mark.parametrize("think", [True, False, "high"])
def test_a_thinking_model_takes_each_way_to_say_it(ollama, think):
    """A level is as good as true."""
    body = {"model": "qwen3:0.6b", "prompt": "hi", "stream": False, "think": think}
    answer = ollama.call("POST", GENERATE, body)
    assert ("thinking" in answer) is bool(think)


def test_a_request_without_prompt_loads_the_model(ollama):
    """Whatever the route, nothing is generated."""
    loaded = ollama.call("POST", CHAT, {"model": "other"})
    assert (loaded["message"]["content"], loaded["done_reason"]) == ("", "load")
    assert ollama.call("POST", GENERATE, {"model": "third"})["done_reason"] == "load"
    assert {model["name"] for model in ollama.call("GET", "/api/ps")["models"]} == {
        "other:latest",
        "third:latest",
    }


def test_a_runners_refusal_of_a_stream_is_chunked(ollama):
    """A wrong format shows there: its status is still the error's own."""
    refused = generate(ollama.port, format=3).finish()
    assert (refused.status, refused.is_terminated) == (500, True)
    message = 'invalid format: "3"; expected "json" or a valid JSON Schema object'
    assert refused.lines() == [{"error": message}]


def test_a_runner_that_dies_before_the_first_token_is_an_error_500(ollama):
    """Streamed or not: no line was sent yet."""
    ollama.control(fail_next={"kind": "stream_error", "after_tokens": 0, "count": 2})
    for streams in (True, False):
        answer = generate(ollama.port, stream=streams).finish()
        assert answer.status == 500
        assert answer.lines() == [
            {"error": "an error was encountered while running the model: unexpected EOF"}
        ]


@pytest.mark.parametrize("path", [EMBED, LEGACY, "/v1/embeddings"])
def test_an_embedding_can_be_cut_or_fail(ollama, path):
    """The connection closed without a word, or 500; the next one is answered."""
    body = {"model": "all-minilm", "input": "a", "prompt": "a"}
    ollama.control(fail_next=[{"kind": "cut"}, {"kind": "http_500"}])
    assert [Exchange(ollama.port, path, body).finish().status for _ in range(3)] == [0, 500, 200]


def test_an_embedding_is_as_long_as_asked_but_no_longer_than_the_models(ollama):
    """Ollama cuts the vector; it can't lengthen it."""
    for asked, length in ((16, 16), (9999, 384), (0, 384), (-1, 384)):
        body = {"model": "all-minilm", "input": "a", "dimensions": asked}
        (vector,) = ollama.call("POST", EMBED, body)["embeddings"]
        assert (len(vector), sum(x * x for x in vector)) == (length, pytest.approx(1, abs=1e-5))


def test_no_text_has_no_embedding(ollama):
    """An empty list, on both routes."""
    assert ollama.call("POST", EMBED, {"model": "all-minilm", "input": ""})["embeddings"] == []
    assert ollama.call("POST", LEGACY, {"model": "all-minilm"})["embedding"] == []
