"""What callers may ask for. Each check raises `ValueError` naming the argument."""

from collections.abc import Mapping, Sequence
from typing import Any


def check_text(name: str, value: object) -> None:
    """A string with something in it."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name} must be a text that is not empty")


def check_temperature(value: object) -> None:
    """A number from 0.0 to 2.0."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value <= 2.0:
        raise ValueError(f"temperature must be a number from 0.0 to 2.0, not {value!r}")


def check_whole(name: str, value: object, *, at_least: int = 1, at_most: int | None = None) -> None:
    """A whole number within bounds."""
    fits = isinstance(value, int) and not isinstance(value, bool) and value >= at_least
    if not fits or (at_most is not None and isinstance(value, int) and value > at_most):
        upper = f" to {at_most}" if at_most is not None else " or more"
        raise ValueError(f"{name} must be a whole number, {at_least}{upper}, not {value!r}")


def check_seconds(name: str, value: object) -> None:
    """A number above zero."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise ValueError(f"{name} must be a number of seconds above 0, not {value!r}")


def check_messages(messages: object) -> None:
    """A list of `{"role": …, "content": …}` with at least one."""
    if not isinstance(messages, Sequence) or isinstance(messages, str) or not messages:
        raise ValueError("messages must be a list with at least one message")
    if not all(isinstance(message, Mapping) and "role" in message for message in messages):
        raise ValueError('messages must be dicts with "role" and "content"')


def check_texts(texts: object) -> None:
    """A text, or a list of texts with at least one."""
    many = [texts] if isinstance(texts, str) else texts
    if not isinstance(many, Sequence) or not many:
        raise ValueError("texts must be a text or a list with at least one")
    for text in many:
        check_text("texts", text)


def sampling_options(temperature: float, max_tokens: int | None) -> dict[str, Any]:
    """
    Ollama's `options` for these two, checked.

    `max_tokens` starts at 1: Ollama takes `num_predict: 0` for no limit at all.
    """
    check_temperature(temperature)
    if max_tokens is None:
        return {"temperature": temperature}
    check_whole("max_tokens", max_tokens)
    return {"temperature": temperature, "num_predict": max_tokens}


def generate_body(
    prompt: str, temperature: float, max_tokens: int | None, system_prompt: str | None
) -> dict[str, Any]:
    """The body of /api/generate, all but the model, with every argument checked."""
    check_text("prompt", prompt)
    if system_prompt is not None and not isinstance(system_prompt, str):
        raise ValueError("system_prompt must be a text")
    body: dict[str, Any] = {
        "prompt": prompt,
        "options": sampling_options(temperature, max_tokens),
    }
    if system_prompt:
        body["system"] = system_prompt
    return body
