"""The public interface."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import ollama_client
from ollama_client import get_ollama_client, reset_ollama_client, shared

PUBLIC = """
Aborted BadRequest BetweenTokensTimeout Cancellation ConnectionCut FirstTokenTimeout GenerationAborted
InvalidResponse Limits ModelNotFound NoModelInstalled OllamaBusy OllamaClient OllamaError OllamaStream
OllamaTimeout OllamaTransport OllamaUnavailable RetryPolicy ServerError StreamError TotalTimeout
canonical_name choose_model get_ollama_client parse_host reset_ollama_client
"""


def test_the_public_names_are_these():
    """Adding or removing one is a decision."""
    assert ollama_client.__all__ == PUBLIC.split()
    assert all(hasattr(ollama_client, name) for name in ollama_client.__all__)


def test_the_package_stands_alone():
    """It imports nothing of the rest of the repository, nor its heavy dependencies."""
    code = (
        "import sys, ollama_client, ollama_client.check;"
        "print(*{'jobs', 'tasks', 'api', 'worker', 'settings', 'celery', 'flask'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""


def test_all_threads_get_the_same_client():
    """However many ask first."""
    reset_ollama_client()
    with ThreadPoolExecutor(16) as executor:
        clients = list(executor.map(lambda _: get_ollama_client(), range(64)))
    assert len(set(map(id, clients))) == 1
    reset_ollama_client()
    assert get_ollama_client() is not clients[0]
    reset_ollama_client()


def test_a_client_that_another_thread_made_meanwhile_is_taken(monkeypatch):
    """Looked for again under the lock."""
    reset_ollama_client()
    mine = object()

    class Lock:
        def __enter__(self):
            monkeypatch.setattr(shared, "_client", mine)

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(shared, "_lock", Lock())
    assert get_ollama_client() is mine
    monkeypatch.setattr(shared, "_client", None)


def test_to_reset_what_was_never_made_is_nothing():
    """A test's clean-up may come twice."""
    reset_ollama_client()
    reset_ollama_client()
    assert shared._client is None
