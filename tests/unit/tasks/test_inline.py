"""Running on the spot, without a row or a queue: eager mode, `apply()` and direct calls."""

from collections.abc import Iterator
from typing import Any

import pytest

from jobs.errors import InvalidRequest, NoModel
from ollama_client.errors import ModelNotFound, OllamaUnavailable
from settings import get_settings
from tasks import app, chat, embed, generate, inline, installed
from tasks.installed import read_models
from tasks.task_result import TaskResult
from tests.support.fake_ollama import FINAL, FakeTransport

TAGS = {
    "models": [
        {"name": "Alpha:latest", "size": 5, "digest": "a"},
        {"name": "embedder", "size": 1, "digest": "e"},
        {"name": "not a name", "size": 0, "digest": "n"},
    ]
}
CAPABILITIES = {"Alpha:latest": ["completion"], "embedder": ["embedding"]}


def _show(body: dict[str, str]) -> dict[str, Any]:
    return {"capabilities": CAPABILITIES[body["model"]]}


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """What models can do is asked anew."""
    monkeypatch.setattr(installed, "_details_by_digest", {})


@pytest.fixture
def ollama(monkeypatch: pytest.MonkeyPatch) -> FakeTransport:
    """The configured Ollama."""
    answers = {
        "/api/tags": TAGS,
        "/api/ps": {"models": [{"name": "alpha:latest"}]},
        "/api/show": _show,
        "/api/embed": {"embeddings": [[0.5]]},
    }
    transport = FakeTransport(answers=answers)
    monkeypatch.setattr(inline, "OllamaTransport", lambda _host: transport)
    return transport


@pytest.fixture
def eager() -> Iterator[None]:
    """Celery's switch for tests of users."""
    app.conf.task_always_eager = True
    yield
    app.conf.task_always_eager = False


def test_a_direct_call_answers(ollama: FakeTransport) -> None:
    """With the same result as a job, of no id."""
    result = generate("Why?", model="alpha")
    assert isinstance(result, TaskResult)
    assert (result["text"], result["model"], result["job_id"], result["output_tokens"]) == (
        "It scatters.",
        "alpha",
        None,
        2,
    )
    assert ollama.calls[0]["body"] == {"model": "alpha", "prompt": "Why?"}
    assert ollama.is_closed


def test_apply_answers_without_a_queue(ollama: FakeTransport) -> None:
    """As Celery documents it."""
    ollama.pieces = [{"message": {"role": "assistant", "content": "Hi"}}, FINAL]
    result = chat.apply(("Hello",), {"model": "alpha"})
    assert (result.state, result.get()["message"]) == ("SUCCESS", {"role": "assistant", "content": "Hi"})


@pytest.mark.usefixtures("eager")
def test_eager_mode_answers_at_once(ollama: FakeTransport) -> None:
    """`.delay()` in a user's tests, with options and all."""
    result = embed.apply_async(("a",), {"model": "embedder"}, priority=0, countdown=60, task_id="j1")
    assert (result.id, result.get()["embeddings"]) == ("j1", [[0.5]])


@pytest.mark.usefixtures("eager")
def test_eager_mode_follows_a_chain(ollama: FakeTransport) -> None:
    """The first answer is the second's prompt."""
    result = (generate.s("Why?", model="alpha") | generate.s(model="alpha"))()
    assert result.get()["text"] == "It scatters."
    assert ollama.calls[1]["body"]["prompt"] == "It scatters."


def test_without_a_name_a_loaded_model_is_taken(ollama: FakeTransport) -> None:
    """As everywhere else."""
    assert generate("Why?")["model"] == "alpha"


def test_a_configured_model_is_taken(ollama: FakeTransport, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without asking what there is."""
    configured = get_settings().model_copy(update={"model": "beta"})
    monkeypatch.setattr(inline, "get_settings", lambda: configured)
    assert generate("Why?")["model"] == "beta"
    assert len(ollama.calls) == 1


def test_without_any_model_it_says_so(ollama: FakeTransport) -> None:
    """And leaves no connection behind."""
    ollama.answers |= {"/api/tags": {"models": []}, "/api/ps": {"models": []}}
    with pytest.raises(NoModel):
        generate("Why?")
    assert ollama.is_closed


def test_what_goes_wrong_reaches_the_caller(ollama: FakeTransport) -> None:
    """Wrong arguments before Ollama is asked, and Ollama's own errors."""
    with pytest.raises(InvalidRequest):
        generate("")
    assert ollama.calls == []
    ollama.pieces = [OllamaUnavailable()]
    with pytest.raises(OllamaUnavailable):
        generate("Why?", model="alpha")
    assert ollama.is_closed


def test_the_limits_are_the_settings(ollama: FakeTransport) -> None:
    """And the request's own for the whole."""
    generate("Why?", model="alpha", timeout_seconds=7.5)
    limits = ollama.calls[0]["limits"]
    assert (limits.first_token_seconds, limits.between_tokens_seconds, limits.total_seconds) == (300, 60, 7.5)


def test_models_are_read_under_normalised_names(ollama: FakeTransport) -> None:
    """With size, what they can do, and whether they are loaded; what nobody can submit is left out."""
    found = {model.name: model for model in read_models(ollama)}  # type: ignore[arg-type]
    assert set(found) == {"alpha", "embedder"}
    assert (found["alpha"].size_bytes, found["alpha"].can_complete, found["alpha"].is_loaded) == (
        5,
        True,
        True,
    )
    assert (found["embedder"].can_complete, found["embedder"].is_loaded) == (False, False)


def test_what_a_model_can_do_is_asked_once(ollama: FakeTransport) -> None:
    """By its digest, so a model that was pulled anew is asked again."""
    for digest in ("a", "a", "b"):
        ollama.answers["/api/tags"] = {"models": [{"name": "Alpha:latest", "digest": digest}]}
        read_models(ollama)  # type: ignore[arg-type]
    assert [call["path"] for call in ollama.calls].count("/api/show") == 2


def test_a_model_that_vanishes_meanwhile_is_none(ollama: FakeTransport) -> None:
    """Removed between two questions, it can't write; an old Ollama that tells nothing can."""
    ollama.answers["/api/show"] = ModelNotFound()
    assert not read_models(ollama)[0].can_complete  # type: ignore[arg-type]
    ollama.answers["/api/show"] = {}
    assert read_models(ollama)[0].can_complete  # type: ignore[arg-type]
