"""What is read and written is read and written as Go does it."""

import json
from random import Random

import pytest

from ollama_client.simulator import go_json, schema
from ollama_client.simulator.durations import FOREVER, keep_alive_seconds
from ollama_client.simulator.errors import Refusal
from ollama_client.simulator.log import Entry, ServedLog
from ollama_client.simulator.models import parse_model
from ollama_client.simulator.validation import is_name, parse_body


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (60, 60),
        (0, 0),
        (-1, FOREVER),
        ("10m", 600),
        ("1h30m", 5400),
        ("300ms", 0.3),
        ("-1s", FOREVER),
        ("0", 0),
    ],
)
def test_a_keep_alive_is_a_number_or_a_duration(value, seconds):
    """Negative ones stand for ever."""
    assert keep_alive_seconds(value) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("soon", 'time: invalid duration "soon"'),
        ("", 'time: invalid duration ""'),
        ("60", 'time: missing unit in duration "60"'),
        ("5x", 'time: unknown unit "x" in duration "5x"'),
        (True, "Unsupported type: 'bool'"),
    ],
)
def test_a_wrong_keep_alive_has_gos_message(value, message):
    """Clients show it as it is."""
    with pytest.raises(ValueError, match=message):
        keep_alive_seconds(value)


def test_html_is_escaped():
    """Go's encoder protects what a browser might read as markup."""
    assert go_json.dumps({"a": "<é&>"}) == '{"a":"\\u003cé\\u0026\\u003e"}'


def test_a_timestamp_has_nanoseconds_without_trailing_zeros():
    """As Go marshals a time."""
    assert go_json.timestamp(1_000_000_000_120_000_000) == "2001-09-09T01:46:40.12Z"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "missing request body"),
        ('{"a": ', "unexpected EOF"),
        ('{"a', "unexpected EOF"),
        ("{a}", "invalid character 'a' looking for beginning of object key string"),
        ('{"a" 1}', "invalid character '1' after object key"),
        ('{"a": 1 2}', "invalid character '2' after object key:value pair"),
        ('{"a": 1   x}', "invalid character 'x' after object key:value pair"),
        ("[1 2]", "invalid character '2' after array element"),
        ('{"a": [1], "b": {"]": "\\\\"} 2', "invalid character '2' after object key:value pair"),
        ('[{"a": "}"}, [1] x]', "invalid character 'x' after array element"),
        ("nope", "invalid character 'n' looking for beginning of value"),
        ('{"a": 1, }', "invalid character '}' looking for beginning of object key string"),
        ("[1,\n]", "invalid character ']' looking for beginning of value"),
        ('["\\x"]', "invalid character 'x' in string escape code"),
        ('["\\u12 "]', r"invalid character ' ' in \u hexadecimal character escape"),
        ('["\\u12', "unexpected EOF"),
        ('{"a": NaN}', "invalid character 'N' looking for beginning of value"),
    ],
)
def test_what_is_no_json_has_gos_message(text, message):
    """So that a client's error text is the real one."""
    with pytest.raises(go_json.JsonError) as raised:
        go_json.loads(text)
    assert str(raised.value) == message


def test_what_follows_the_first_value_is_not_read():
    """Go's decoder stops there."""
    assert go_json.loads('{"a": 1} trailing') == {"a": 1}


def test_fields_are_found_in_any_case_and_nulls_dropped():
    """As Go's decoder does."""
    assert parse_body(b'{"Model": "m", "prompt": null, "other": 1}', "GenerateRequest") == {"model": "m"}


def test_a_message_that_is_no_object_is_refused():
    """With the type that was wanted."""
    with pytest.raises(Refusal, match=r"ChatRequest.messages of type api.Message"):
        parse_body(b'{"messages": [1]}', "ChatRequest")


@pytest.mark.parametrize("name", ["llama3.2:1b", "hf.co/org/model:Q4_K_M", "localhost:5000/a/b:c", "a_b"])
def test_a_models_name_may_have_host_namespace_and_tag(name):
    """Ollama's own forms."""
    assert is_name(name)


@pytest.mark.parametrize("name", ["bad name!!", "a:b:c", "", ":x", "a/b/c/d"])
def test_other_texts_are_no_model_names(name):
    """They are refused before any lookup."""
    assert not is_name(name)


def test_a_schemas_instance_is_valid():
    """Required, nested and limited values included."""
    wanted = {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "kind": {"enum": ["a", "b"]},
            "fixed": {"const": 7},
            "age": {"type": "integer", "minimum": 3, "maximum": 5},
            "tags": {"type": "array", "items": {"type": "boolean"}, "minItems": 3},
            "either": {"anyOf": [{"type": "null"}, {"type": "number"}]},
        },
        "required": ["name"],
    }
    made = schema.instance(wanted, Random(1))
    assert json.dumps(made) == json.dumps(schema.instance(wanted, Random(1)))
    assert list(made) == list(wanted["properties"])
    assert made["name"].startswith("[simulated]")
    assert made["kind"] in "ab"
    assert made["fixed"] == 7
    assert 3 <= made["age"] <= 5
    assert [type(tag) for tag in made["tags"]] == [bool] * 3
    assert made["either"] is None or isinstance(made["either"], int)


def test_an_image_and_a_message_with_one_are_read():
    """Base64 with its padding."""
    for request, body in (
        ("GenerateRequest", {"images": ["aGVsbG8="]}),
        ("ChatRequest", {"messages": [{"role": "user", "content": "", "images": ["aGVsbG8=", "aGk="]}]}),
    ):
        assert parse_body(json.dumps(body).encode(), request) == body


@pytest.mark.parametrize(
    ("text", "name", "capabilities"),
    [
        ("mine=completion+vision", "mine:latest", ("completion", "vision")),
        ("qwen3:0.6b=completion", "qwen3:0.6b", ("completion",)),
        ("qwen3:0.6b", "qwen3:0.6b", ("completion", "tools", "thinking")),
        ("nomic-embed-text", "nomic-embed-text:latest", ("embedding",)),
    ],
)
def test_a_model_is_told_by_name_and_capabilities(text, name, capabilities):
    """What is told goes before what is known of the name."""
    model = parse_model(text)
    assert (model.name, model.capabilities) == (name, capabilities)


def test_the_log_is_kept_without_a_file(tmp_path):
    """And with one both have the same lines."""
    entry = Entry("/api/chat", "m:latest", "00", None)
    written = tmp_path / "deep" / "served.jsonl"
    for log in (ServedLog(), ServedLog(written)):
        log.start(entry)
        log.end(entry, "done")
        log.close()
        assert [json.loads(line)["outcome"] for line in log.text().splitlines()] == [None, "done"]
    assert written.read_text(encoding="utf-8") == log.text()
