"""Ollama's rules for pages, names and slashes."""

import http.client

import pytest

from ollama_client.simulator.browsers import is_local_host


def _status(ollama, method, path, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", ollama.port, timeout=10)
    try:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return response.status, response.read(), response.getheader("Location")
    finally:
        connection.close()


@pytest.mark.parametrize(
    "host", ["localhost:1", "127.0.0.1", "192.168.1.5:11434", "[::1]:5", "gpu1", "gpu1.internal", "a.local"]
)
def test_a_name_nearby_is_served(host):
    """Loopback, private addresses, bare names and local suffixes."""
    assert is_local_host(host)


@pytest.mark.parametrize("host", ["example.com", "8.8.8.8", "localhost.example.com"])
def test_a_public_name_is_not_served(host):
    """It may be a page that rebound its name."""
    assert not is_local_host(host)


def test_a_foreign_page_is_refused_without_words(ollama):
    """403 and an empty body."""
    assert _status(ollama, "GET", "/api/tags", Origin="https://example.com")[:2] == (403, b"")


def test_a_slash_too_many_is_redirected(ollama):
    """POST keeps its method with 307."""
    assert _status(ollama, "POST", "/api/generate/") == (307, b"", "/api/generate")


def test_root_says_that_it_runs(ollama):
    """In plain words, as health checks expect."""
    assert _status(ollama, "GET", "/")[:2] == (200, b"Ollama is running")
