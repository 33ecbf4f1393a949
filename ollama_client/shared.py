"""One client for the whole process."""

import threading

from ollama_client.client import OllamaClient

_lock = threading.Lock()
_client: OllamaClient | None = None


def get_ollama_client() -> OllamaClient:
    """The process's client with default settings, made at the first call; the same for all threads."""
    global _client  # noqa: PLW0603 - a singleton is what this is
    if _client is None:
        with _lock:
            # Looked at again: another thread may have made it while this one waited.
            if _client is None:
                _client = OllamaClient()
    return _client


def reset_ollama_client() -> None:
    """Shut that client down; the next call makes a new one. For tests."""
    global _client
    with _lock:
        client, _client = _client, None
    if client is not None:
        client.shutdown(wait=False)
