"""A made-up JSON value that a simple JSON schema allows; always the same for the same seed."""

from random import Random
from typing import Any

from ollama_client.simulator.answers import MARK, VOCABULARY

_DEEPEST = 8


def instance(schema: object, random: Random, depth: int = 0) -> Any:
    """
    Any value valid for a schema of type, properties, required, items, enum, const, anyOf, allOf, minimum…

    `$ref`, `pattern` and conditions are not looked at. A free string says that it is simulated.
    """
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return f"{MARK} {random.choice(VOCABULARY)}"
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return random.choice(schema["enum"])
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        return instance(random.choice(choices), random, depth + 1)
    if schema.get("allOf"):
        return instance(_merged(schema["allOf"]), random, depth + 1)
    return _of_type(schema, random, depth)


def any_object(random: Random) -> dict[str, Any]:
    """The answer to `format: "json"`: an object that says that it is simulated."""
    return {"simulated": True, random.choice(VOCABULARY): random.choice(VOCABULARY)}


def _of_type(schema: dict[str, Any], random: Random, depth: int) -> Any:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = random.choice(kind)
    if kind == "object":
        properties = schema.get("properties", {})
        return {name: instance(part, random, depth + 1) for name, part in properties.items()}
    if kind == "array":
        length = max(int(schema.get("minItems", 1)), min(int(schema.get("maxItems", 2)), 2))
        return [instance(schema.get("items", {"type": "string"}), random, depth + 1) for _ in range(length)]
    return _scalar(kind, schema, random)


def _scalar(kind: object, schema: dict[str, Any], random: Random) -> Any:
    if kind in ("integer", "number"):
        low = schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1)
        high = max(low, schema.get("maximum", schema.get("exclusiveMaximum", low + 101) - 1))
        return random.randint(int(low), int(high))
    if kind == "boolean":
        return random.random() < 0.5
    if kind == "null":
        return None
    text = f"{MARK} {random.choice(VOCABULARY)}".ljust(int(schema.get("minLength", 0)), "a")
    return text[: int(schema["maxLength"])] if "maxLength" in schema else text


def _merged(schemas: list[dict[str, Any]]) -> dict[str, Any]:
    merged: dict[str, Any] = {"properties": {}}
    for schema in schemas:
        properties = {**merged["properties"], **schema.get("properties", {})}
        merged = {**merged, **schema, "properties": properties}
    return merged
