"""Which Ollama a start finds."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from settings import Settings
from stack.errors import StackError
from stack.ollama import Answer, choose_ollama, probe, shown

Serve = Callable[[dict[str, Any]], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a server with these JSON answers by path; 404 for others. Returns its base URL."""
    servers: list[tuple[ThreadingHTTPServer, threading.Thread]] = []

    def start(answers: dict[str, Any]) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200 if self.path in answers else 404)
                self.end_headers()
                self.wfile.write(json.dumps(answers.get(self.path, "not found")).encode())

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def nobody() -> str:
    """An address at which nobody listens."""
    with socket.socket() as probe_socket:
        probe_socket.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe_socket.getsockname()[1]}"


WITH_MODEL = {"/api/tags": {"models": [{"name": "m"}]}}
WITHOUT = {"/api/tags": {"models": []}}
PADDOCK = {"/healthz": {"status": "ok"}, **WITH_MODEL}


def configured(*hosts: str) -> Settings:
    """Settings in which somebody named these Ollamas."""
    return Settings.model_construct({"ollama_hosts"}, ollama_hosts=hosts, ollama_host=hosts[0])


def guessed(host: str) -> Settings:
    """Settings in which nobody named one; this is the default address."""
    return Settings.model_construct(set(), ollama_hosts=(), ollama_host=host)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (WITH_MODEL, Answer.MODELS),
        (WITHOUT, Answer.NO_MODEL),
        (PADDOCK, Answer.PADDOCK),
        ({"/api/tags": ["no", "object"]}, Answer.ILL),
        ({}, Answer.ILL),
    ],
)
def test_an_address_is_known_by_its_answers(serve: Serve, answers: dict[str, Any], expected: Answer) -> None:
    """A Paddock serves Ollama's paths too; only its own path gives it away."""
    assert probe(serve(answers)) is expected


def test_nobody_listening_is_told_from_somebody_who_does_not_answer(nobody: str) -> None:
    """Only the first may be simulated; the second is an outage of a real one."""
    assert probe(nobody) is Answer.NOTHING
    assert probe("http://name.invalid:11434") is Answer.ILL


def test_without_any_ollama_it_is_simulated_and_said_so(
    nobody: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In plain words, with what to do for real answers."""
    choice = choose_ollama(guessed(nobody))
    assert choice.simulated
    assert choice.hosts[0].startswith("http://127.0.0.1:")
    said = capsys.readouterr().err
    assert "a simulated Ollama answers instead" in said
    assert "https://ollama.com" in said


def test_a_configured_one_is_never_simulated(nobody: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Its outage is waited for."""
    choice = choose_ollama(configured(nobody))
    assert (choice.hosts, choice.simulated) == ((nobody,), False)
    assert "jobs wait until it does" in capsys.readouterr().err


@pytest.mark.parametrize("settings", [configured, guessed])
def test_an_ollama_without_a_model_gets_the_command_to_pull_one(
    serve: Serve, settings: Callable[[str], Settings]
) -> None:
    """Never a silent simulation; exit status 2."""
    with pytest.raises(StackError, match=r"ollama pull llama3\.2:1b") as raised:
        choose_ollama(settings(serve(WITHOUT)))
    assert raised.value.status == 2


def test_one_model_among_several_ollamas_is_enough(serve: Serve) -> None:
    """The other's worker waits for models of its own."""
    hosts = (serve(WITHOUT), serve(WITH_MODEL))
    assert choose_ollama(configured(*hosts)).hosts == hosts


def test_a_paddock_is_no_ollama(serve: Serve) -> None:
    """Paddock in front of itself would wait for itself."""
    with pytest.raises(StackError, match="is a Paddock"):
        choose_ollama(configured(serve(PADDOCK)))


def test_addresses_are_shown_without_their_password() -> None:
    """They end up on terminals and in logs."""
    assert shown("https://me:hidden@gpu:443/x") == "https://gpu:443/x"
