"""Values that a JSON schema allows."""

from random import Random
from typing import Any

import pytest

from ollama_client.simulator import go_json
from ollama_client.simulator.answers import MARK
from ollama_client.simulator.schema import instance


@pytest.mark.parametrize(
    ("schema", "values"),
    [
        ({"const": 3}, [3]),
        ({"enum": ["a", "b"]}, ["a", "b"]),
        ({"anyOf": [{"const": 1}, {"const": 2}]}, [1, 2]),
        ({"oneOf": [{"const": 1}]}, [1]),
        ({"type": "null"}, [None]),
        ({"type": "boolean"}, [True, False]),
        ({"type": ["integer"], "minimum": 4, "maximum": 4}, [4]),
        ({"type": "number", "exclusiveMinimum": 1, "exclusiveMaximum": 3}, [2]),
        ({"type": "array", "items": {"const": 0}, "minItems": 2}, [[0, 0]]),
        ({"properties": {"a": {"const": 1}}}, [{"a": 1}]),
        (
            {"allOf": [{"properties": {"a": {"const": 1}}}, {"properties": {"b": {"const": 2}}}]},
            [{"a": 1, "b": 2}],
        ),
        ({"type": "string", "maxLength": 4}, [MARK[:4]]),
    ],
)
def test_a_schema_has_a_value_it_allows(schema: dict[str, Any], values: list[Any]) -> None:
    """The same for the same seed."""
    found = instance(schema, Random(1))
    assert found in values
    assert instance(schema, Random(1)) == found


def test_what_is_free_says_that_it_is_simulated() -> None:
    """Also what is no schema, and what is nested without end."""
    endless: dict[str, Any] = {}
    endless["anyOf"] = [endless]
    for schema in (True, {"type": "string"}, endless):
        assert str(instance(schema, Random(1))).startswith(MARK)
    assert len(instance({"type": "string", "minLength": 60}, Random(1))) == 60


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "missing request body"),
        ("[" * 200_000, "exceeded max depth"),
        ('{"a": 1', "unexpected EOF"),
        ('{"a": 1 x', "invalid character 'x' after object key:value pair"),
        ("[1 x", "invalid character 'x' after array element"),
        ('"a\nb"', "invalid character '\\n' in string literal"),
        ('"a\\xb"', "in string escape code"),
        ("x", "invalid character 'x' looking for beginning of value"),
    ],
)
def test_broken_json_is_told_as_go_tells_it(text: str, message: str) -> None:
    """Clients of Ollama know these sentences."""
    with pytest.raises(go_json.JsonError) as raised:
        go_json.loads(text)
    assert message in str(raised.value)
