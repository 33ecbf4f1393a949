"""Installing, copying and removing models, with the words of Ollama's own handlers."""

import json

import pytest

from tests.unit.simulator.asking import ask

PULL_TYPE = "json: cannot unmarshal number into Go struct field PullRequest.model of type string"


def _names(ollama):
    return [model["name"] for model in ollama.call("GET", "/api/tags")["models"]]


def test_a_pulled_model_is_installed_and_can_be_deleted(ollama):
    """Not streamed, a pull answers its last step alone."""
    answer = ask(ollama.port, "POST", "/api/pull", {"model": "pulled", "stream": False})
    assert answer == (200, '{"status":"success"}')
    assert "pulled:latest" in _names(ollama)
    assert ask(ollama.port, "DELETE", "/api/delete", {"name": "pulled"}) == (200, "")
    assert "pulled:latest" not in _names(ollama)


def test_progress_is_streamed_a_step_a_line(ollama):
    """The last line is success."""
    status, body = ask(ollama.port, "POST", "/api/push", {"model": "other"})
    steps = [json.loads(line)["status"] for line in body.splitlines()]
    assert (status, steps) == (200, ["retrieving manifest", "pushing manifest", "success"])


def test_a_copy_and_a_created_model_are_like_their_parent(ollama):
    """All but the name."""
    assert ask(ollama.port, "POST", "/api/copy", {"source": "qwen3:0.6b", "destination": "twin"}) == (200, "")
    created = {"model": "child", "from": "qwen3:0.6b", "stream": False}
    assert ask(ollama.port, "POST", "/api/create", created) == (200, '{"status":"success"}')
    parent = ollama.call("POST", "/api/show", {"model": "qwen3:0.6b"})
    for name in ("twin", "child"):
        assert ollama.call("POST", "/api/show", {"model": name})["capabilities"] == parent["capabilities"]
        ask(ollama.port, "DELETE", "/api/delete", {"model": name})


def test_a_blob_is_there_once_it_was_sent(ollama):
    """404 before, 201 for the upload, 200 after."""
    path = "/api/blobs/sha256:00aa"
    assert ask(ollama.port, "HEAD", path)[0] == 404
    assert ask(ollama.port, "POST", path, b"x" * 100_000)[0] == 201
    assert ask(ollama.port, "HEAD", path)[0] == 200


@pytest.mark.parametrize(
    ("route", "body", "status", "message"),
    [
        ("POST /api/push", {"model": "nope"}, 404, "model 'nope' not found"),
        ("POST /api/push", {}, 400, "model is required"),
        ("POST /api/pull", {}, 400, "invalid model name"),
        ("POST /api/pull", {"model": "a b"}, 400, "invalid model name"),
        ("POST /api/pull", {"model": 3}, 400, PULL_TYPE),
        ("POST /api/create", {"from": "other"}, 400, "invalid model name"),
        ("POST /api/create", {"model": "child"}, 400, "neither 'from' or 'files' was specified"),
        ("POST /api/copy", {"source": "nope", "destination": "a"}, 404, 'model "nope" not found'),
        ("POST /api/copy", {"destination": "a"}, 400, 'source "" is invalid'),
        ("POST /api/copy", {"source": "other"}, 400, 'destination "" is invalid'),
        ("DELETE /api/delete", {"model": "nope"}, 404, "model 'nope' not found"),
        ("DELETE /api/delete", {}, 400, 'name "" is invalid'),
    ],
)
def test_what_can_not_be_done_is_refused(ollama, route, body, status, message):
    """With Ollama's own quotes: copy and the invalid names have double ones."""
    refused = ask(ollama.port, *route.split(), body)
    assert (refused[0], json.loads(refused[1])) == (status, {"error": message})


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/pull"),
        ("POST", "/api/push"),
        ("POST", "/api/create"),
        ("POST", "/api/copy"),
        ("DELETE", "/api/delete"),
    ],
)
@pytest.mark.parametrize(
    ("body", "message"), [(b"", "missing request body"), (b'{"model": ', "unexpected EOF")]
)
def test_a_missing_or_broken_body_is_refused(ollama, method, path, body, message):
    """As on every route of Ollama, never as a crash."""
    assert ask(ollama.port, method, path, body) == (400, f'{{"error":"{message}"}}')
