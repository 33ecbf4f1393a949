"""A job's input on its way to Ollama: the context it asks for."""

from typing import Any

import pytest

from tasks.ollama_request import with_room


@pytest.mark.parametrize(
    ("wanted", "configured", "sent"),
    [
        (1024, 4096, 4096),
        (4096, 4096, 4096),
        (8192, 4096, 8192),
        (1024, None, 1024),
        (0, 4096, 0),
        (-1, 4096, -1),
        ("big", 4096, "big"),
    ],
    ids=["smaller", "equal", "larger is needed", "not known", "none", "Ollama's to refuse", "no number"],
)
def test_a_smaller_context_is_rounded_up(wanted: Any, configured: int | None, sent: Any) -> None:
    """To the size that the model is loaded with anyway; the caller's input stays as it is."""
    given = {"prompt": "x", "options": {"num_ctx": wanted, "temperature": 0.1}}
    rounded = with_room(given, configured)
    assert rounded == {"prompt": "x", "options": {"num_ctx": sent, "temperature": 0.1}}
    assert given["options"]["num_ctx"] == wanted


def test_without_a_size_there_is_nothing_to_round() -> None:
    """Ollama takes its own."""
    for given in ({"prompt": "x"}, {"prompt": "x", "options": {}}, {"prompt": "x", "options": "num_ctx"}):
        assert with_room(given, 4096) == given
