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


def test_a_slash_too_many_on_a_page_is_moved_for_good(ollama):
    """GET is told with 301."""
    assert _status(ollama, "GET", "/api/tags/")[::2] == (301, "/api/tags")


def test_an_unknown_path_and_a_wrong_method_are_told_in_plain_words(ollama):
    """No JSON: a client must not take them for a model's errors."""
    assert _status(ollama, "GET", "/nowhere")[:2] == (404, b"404 page not found")
    assert _status(ollama, "GET", "/nowhere/")[:2] == (404, b"404 page not found")
    assert _status(ollama, "DELETE", "/api/tags")[:2] == (405, b"405 method not allowed")


def test_a_name_that_was_bound_anew_is_refused_without_words(ollama):
    """A page under a public name that points at this machine."""
    assert _status(ollama, "GET", "/api/tags", Host="example.com")[:2] == (403, b"")


def test_a_page_of_this_machine_may_ask(ollama):
    """Before it asks and as it does, it is told so."""
    origin = "http://localhost:3000"
    for method, path, status in (("OPTIONS", "/api/chat", 204), ("GET", "/api/tags", 200)):
        connection = http.client.HTTPConnection("127.0.0.1", ollama.port, timeout=10)
        connection.request(method, path, headers={"Origin": origin})
        response = connection.getresponse()
        allowed = response.getheader("Access-Control-Allow-Origin")
        connection.close()
        assert (response.status, allowed) == (status, origin)
