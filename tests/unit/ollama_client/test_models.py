"""The model that is used when none was named."""

import pytest

from ollama_client.errors import ModelNotFound, NoModelInstalled
from ollama_client.models import ModelChoice, canonical_name, choose_model, is_installed
from tests.unit.ollama_client.fakes import FakeTransport


def model(name, size=1, **fields):
    return {"name": name, "size": size, **fields}


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("llama3.2", "llama3.2:latest"),
        ("Llama3.2:1B", "llama3.2:1b"),
        ("registry.ollama.ai/library/tiny", "tiny:latest"),
        ("library/tiny", "tiny:latest"),
        ("me/tiny", "me/tiny:latest"),
        ("host:5000/me/tiny", "host:5000/me/tiny:latest"),
    ],
)
def test_names_are_compared_as_ollama_compares_them(name, canonical):
    """Case, tag and default registry make no difference."""
    assert canonical_name(name) == canonical
    assert is_installed(name, [model(canonical)])


def test_a_loaded_model_comes_first():
    """Even where a smaller one is installed."""
    transport = FakeTransport(installed=[model("small"), model("big", 9)], loaded=[model("big", 9)])
    assert choose_model(transport) == "big"


def test_else_the_smallest_that_can_complete():
    """Embedding models can't; a cloud model is on another machine."""
    transport = FakeTransport(
        installed=[
            model("big", 9),
            model("small", 2),
            model("vector", 1),
            model("cloud", 0, remote_host="x"),
        ],
        loaded=[model("vector", 1)],
        capabilities={"vector": ["embedding"]},
    )
    assert choose_model(transport) == "small"
    assert choose_model(transport, "embedding") == "vector"


def test_servers_that_list_no_capabilities_are_trusted():
    """Old ones don't."""
    transport = FakeTransport(installed=[model("old")])
    transport.show = lambda name: {}
    assert choose_model(transport) == "old"


def test_without_any_model_the_error_says_which_to_pull():
    """A newcomer's first stumble."""
    with pytest.raises(NoModelInstalled) as caught:
        choose_model(FakeTransport())
    assert "ollama pull llama3.2:1b" in caught.value.remedy


def test_a_choice_is_kept_until_it_is_forgotten():
    """Ollama is asked once."""
    transport = FakeTransport(installed=[model("one")])
    choice = ModelChoice(transport, None)
    assert choice.for_capability("completion") == "one"
    transport.installed = [model("two")]
    assert choice.for_capability("completion") == "one"
    choice.forget()
    assert choice.for_capability("completion") == "two"


def test_embedding_falls_back_on_a_model_that_completes():
    """It can embed as well."""
    choice = ModelChoice(FakeTransport(installed=[model("one")]), None)
    assert choice.for_capability("embedding") == "one"


def test_a_model_that_was_removed_meanwhile_is_passed_over():
    """The list is older than the answer about it."""
    transport = FakeTransport(installed=[model("gone", 1), model("there", 2)])
    described = transport.show

    def show(name):
        if name == "gone":
            raise ModelNotFound("model 'gone' not found", status=404)
        return described(name)

    transport.show = show
    assert choose_model(transport) == "there"
