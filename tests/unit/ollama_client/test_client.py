"""The client that answers with dicts."""

import threading

import pytest

from ollama_client import OllamaClient, RetryPolicy
from ollama_client.errors import (
    GenerationAborted,
    ModelNotFound,
    OllamaError,
    OllamaUnavailable,
    ServerError,
    TotalTimeout,
)
from tests.unit.ollama_client.fakes import FakeTransport

DONE = b'{"response":"blue","done":false}\n{"response":"","done":true,"eval_count":3}\n'
CHAT = b'{"message":{"role":"assistant","content":"hi"},"done":true,"eval_count":1}\n'


@pytest.fixture
def client_of():
    """Makes clients on a fake transport that don't wait between attempts."""
    made = []

    def make(*outcomes, model="tiny", attempts=3, **fake):
        transport = FakeTransport(*outcomes, **fake)
        policy = RetryPolicy(attempts, sleep=lambda seconds: None)
        made.append(OllamaClient(model=model, retry=policy, transport=transport, max_workers=4))
        return made[-1], transport

    yield make
    for client in made:
        client.shutdown()


def test_a_generation_answers_with_its_figures(client_of):
    """Text, success, time, attempts and tokens; options go to Ollama under its names."""
    client, transport = client_of(DONE)
    result = client.generate("colour?", 0.2, max_tokens=5, system_prompt="be terse")
    assert result.pop("response_time") >= 0
    assert result == {"text": "blue", "success": True, "attempts": 1, "tokens": 3, "model": "tiny"}
    body = {"model": "tiny", "prompt": "colour?", "system": "be terse"}
    assert transport.calls == [("/api/generate", {**body, "options": {"temperature": 0.2, "num_predict": 5}})]


def test_without_max_tokens_the_model_decides(client_of):
    """num_predict is left out."""
    client, transport = client_of(DONE)
    client.generate("colour?")
    assert transport.calls[0][1]["options"] == {"temperature": 0.7}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"prompt": ""}, "prompt"),
        ({"prompt": " \n"}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"prompt": "x", "temperature": 2.1}, "temperature"),
        ({"prompt": "x", "temperature": -0.1}, "temperature"),
        ({"prompt": "x", "temperature": True}, "temperature"),
        ({"prompt": "x", "temperature": float("nan")}, "temperature"),
        ({"prompt": "x", "max_tokens": 0}, "max_tokens"),
        ({"prompt": "x", "max_tokens": 1.5}, "max_tokens"),
        ({"prompt": "x", "system_prompt": 1}, "system_prompt"),
    ],
)
def test_wrong_arguments_are_refused_by_name(client_of, arguments, named):
    """Nothing is sent, nothing is raised, nothing is counted."""
    client, transport = client_of(DONE)
    result = client.generate(**arguments)
    assert (result["success"], result["error_code"], result["attempts"]) == (False, "invalid_argument", 0)
    assert named in result["error"]
    assert transport.calls == []
    assert client.get_metrics()["total_requests"] == 0


@pytest.mark.parametrize(
    ("error", "attempts", "words"),
    [
        (OllamaUnavailable(), 3, ["All 3 attempts failed", "not reachable", "ollama serve"]),
        (ModelNotFound("model 'x' not found"), 1, ["model 'x' not found", "ollama pull"]),
        (TotalTimeout("Ollama timed out"), 3, ["timed out", "Raise the timeout"]),
        (ServerError("boom"), 3, ["All 3 attempts failed", "boom", "log"]),
    ],
)
def test_the_usual_errors_name_their_remedy(client_of, error, attempts, words):
    """A refused request is not repeated, the rest is; the prompt is not quoted."""
    client, transport = client_of(error)
    result = client.generate("my secret")
    assert (result["success"], result["text"], result["attempts"]) == (False, "", attempts)
    assert result["error_code"] == error.code
    assert all(word in result["error"] for word in words)
    assert "secret" not in result["error"]
    assert len(transport.calls) == attempts


def test_a_later_attempt_may_work(client_of):
    """One request, two attempts."""
    client, _ = client_of(ServerError(), DONE)
    assert client.generate("x")["attempts"] == 2
    assert client.get_metrics()["success_rate"] == 100.0


def test_an_aborted_generation_keeps_its_text(client_of):
    """A failure that has something to show."""
    client, _ = client_of(GenerationAborted(text="blue blue"))
    result = client.generate("x")
    assert (result["success"], result["text"]) == (False, "blue blue")


def test_a_batch_keeps_its_order_and_its_failures(client_of):
    """A result for each prompt, at its place."""
    client, transport = client_of(DONE)
    transport.stream_original, barrier = transport.stream, threading.Barrier(4, timeout=5)

    def together(path, body, *, limits=None):
        barrier.wait()  # passes only if four are under way at once
        return transport.stream_original(path, body)

    transport.stream = together
    results = client.generate_batch(["a", "b", "", "c", "d"])
    assert [result["success"] for result in results] == [True, True, False, True, True]
    assert client.generate_batch([]) == []


def test_a_chat_without_tools_offers_none(client_of):
    """The field is left out."""
    client, transport = client_of(CHAT)
    assert client.chat([{"role": "user", "content": "hello"}])["message"]["content"] == "hi"
    assert "tools" not in transport.calls[0][1]


def test_a_chat_answers_with_the_message(client_of):
    """And with its text, as generate does."""
    client, transport = client_of(CHAT)
    result = client.chat([{"role": "user", "content": "hello"}], tools=[{"type": "function"}])
    assert (result["text"], result["message"]) == ("hi", {"role": "assistant", "content": "hi"})
    assert transport.calls[0][1]["tools"] == [{"type": "function"}]


@pytest.mark.parametrize("messages", [[], "hello", ["hello"], [{"content": "x"}]])
def test_messages_are_checked(client_of, messages):
    """A list of dicts with a role."""
    client, _ = client_of(CHAT)
    assert "messages" in client.chat(messages)["error"]


def test_embeddings_come_in_order(client_of):
    """One list of floats a text."""
    client, transport = client_of({"embeddings": [[0.1], [0.2]], "prompt_eval_count": 4})
    result = client.embed(["a", "b"])
    assert (result["embeddings"], result["tokens"]) == ([[0.1], [0.2]], 4)
    assert transport.calls == [("/api/embed", {"model": "tiny", "input": ["a", "b"]})]
    assert client.embed([])["embeddings"] == []
    assert "texts" in client.embed([""])["error"]


def test_a_stream_yields_pieces_and_raises(client_of):
    """Errors are raised here: there is no result to put them in."""
    client, transport = client_of(DONE, ServerError())
    assert list(client.stream("x")) == ["blue"]
    assert transport.limits.total_seconds is None
    with pytest.raises(OllamaError):
        list(client.stream("x"))
    with pytest.raises(ValueError, match="prompt"):
        client.stream("")
    assert client.get_metrics()["failed_requests"] == 1


def test_availability_is_an_answer_to_version(client_of):
    """Any OllamaError means no."""
    assert client_of("0.24.0")[0].is_available()
    assert not client_of(OllamaUnavailable())[0].is_available()


def test_health_is_told_in_one_word(client_of):
    """Healthy, degraded for want of the model or of success, unhealthy without Ollama."""
    installed = [{"name": "tiny:latest", "size": 1}]
    client, _ = client_of(DONE, installed=installed)
    health = client.health_check()
    assert (health["status"], health["available"], health["model_available"]) == ("healthy", True, True)
    assert (health["model"], health["models"]) == ("tiny", ["tiny:latest"])
    assert client_of(DONE)[0].health_check()["status"] == "degraded"
    client, transport = client_of(ModelNotFound(), installed=installed)
    client.generate("x")
    transport.outcomes = [DONE]
    assert client.health_check()["status"] == "degraded"
    health = client_of(OllamaUnavailable())[0].health_check()
    assert (health["status"], health["available"]) == ("unhealthy", False)
    assert "ollama serve" in health["error"]


def test_no_model_at_all_is_degraded_and_says_what_to_pull(client_of):
    """Ollama answers, but there is nothing to ask."""
    client, _ = client_of(DONE, model=None)
    health = client.health_check()
    assert (health["status"], health["model"]) == ("degraded", None)
    assert "ollama pull llama3.2:1b" in client.generate("x")["error"]


def test_after_shutdown_nothing_is_sent(client_of):
    """Calls fail with `aborted`, batches too."""
    client, transport = client_of(DONE)
    client.shutdown(wait=False)
    assert transport.aborted
    assert transport.closed
    assert client.generate("x")["error_code"] == "aborted"
    assert [result["success"] for result in client.generate_batch(["x", "y"])] == [False, False]


def test_shutdown_ends_the_waits_between_attempts():
    """Nobody waits eight seconds for a client that is closing."""
    transport = FakeTransport(ServerError())
    client = OllamaClient(model="tiny", transport=transport)
    client._closing.set()
    assert client._wait(60) is None
    client.shutdown()


@pytest.mark.parametrize(
    "arguments",
    [
        {"host": ""},
        {"host": "a b"},
        {"port": 0},
        {"port": 65536},
        {"port": "11434"},
        {"model": ""},
        {"max_workers": 0},
        {"timeout": 0},
        {"max_retries": 0},
    ],
)
def test_a_client_that_can_not_be_is_refused(arguments):
    """By the argument's name or value."""
    with pytest.raises(ValueError, match="|".join([*arguments, "a b"])):
        OllamaClient(**arguments)
