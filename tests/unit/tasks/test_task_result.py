"""What a task returns, and how little of it a log shows."""

from typing import Any

import pytest
from kombu.utils.json import dumps, loads

from tasks.ollama_request import ollama_body
from tasks.task_result import TaskResult, as_text, make_result

FIGURES = {"prompt_tokens": 7, "output_tokens": 2}
MESSAGE = {"role": "assistant", "content": "It scatters."}


@pytest.mark.parametrize(
    ("kind", "data", "expected"),
    [
        ("generate", "It scatters.", {"text": "It scatters."}),
        ("chat", MESSAGE, {"text": "It scatters.", "message": MESSAGE}),
        ("embed", [[0.5]], {"text": "", "embeddings": [[0.5]]}),
    ],
)
def test_a_result_has_a_text_and_its_own_form(kind: str, data: Any, expected: dict[str, Any]) -> None:
    """Besides the id, the model and the figures."""
    result = make_result(job_id="j1", kind=kind, model="alpha", data=data, figures=FIGURES)
    assert result.data == {"job_id": "j1", "model": "alpha", **FIGURES, **expected}


def test_a_result_never_shows_itself() -> None:
    """Celery writes results into its log, alone and inside of other things."""
    result = TaskResult(text="my secret answer", model="alpha")
    assert repr(result) == str(result) == f"{result}" == "<answer of alpha>"
    assert "secret" not in repr([result, {"a": result}])


def test_a_result_is_json_by_its_content() -> None:
    """As Celery's serializer writes it."""
    result = TaskResult(text="a", model="alpha")
    assert loads(dumps({"result": result})) == {"result": {"text": "a", "model": "alpha"}}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a prompt", "a prompt"),
        (TaskResult(text="a", model="m"), "a"),
        ({"text": "a", "model": "m", "output_tokens": 1}, "a"),
        ([TaskResult(text="a", model="m"), {"text": "b", "model": "m"}], "a\n\nb"),
        ({"text": "a"}, {"text": "a"}),
        ([], []),
        (["a", "b"], ["a", "b"]),
        ([{"text": "a", "model": "m"}, "b"], [{"text": "a", "model": "m"}, "b"]),
        (None, None),
    ],
)
def test_in_a_chain_a_result_stands_for_its_text(value: Any, text: Any) -> None:
    """Those of a group for all of their texts; anything else for itself."""
    assert as_text(value) == text


@pytest.mark.parametrize(
    ("kind", "given", "body"),
    [
        ("generate", {"prompt": "Why?"}, {"prompt": "Why?"}),
        (
            "generate",
            {"prompt": "Why?", "system": "Be brief.", "images": ["aGk="], "think": False, "format": "json"},
            {"prompt": "Why?", "system": "Be brief.", "images": ["aGk="], "think": False, "format": "json"},
        ),
        (
            "chat",
            {"messages": [{"role": "user", "content": "Hi"}], "system": "Be brief.", "tools": []},
            {
                "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
                "tools": [],
            },
        ),
        (
            "chat",
            {"messages": [{"role": "user", "content": "Hi"}]},
            {"messages": [{"role": "user", "content": "Hi"}]},
        ),
        (
            "embed",
            {"input": ["a", "b"], "options": {"seed": 1}},
            {"input": ["a", "b"], "options": {"seed": 1}},
        ),
    ],
)
def test_a_job_is_asked_as_ollama_wants_it(kind: str, given: dict[str, Any], body: dict[str, Any]) -> None:
    """keep_alive stays out: it would make every other model wait."""
    assert ollama_body(kind, "alpha", {**given, "keep_alive": "10m"}) == {"model": "alpha", **body}
