"""Which Ollama the local stack stands in front of: a configured one, this machine's, or the simulated one."""

import re
import socket
from contextlib import closing
from dataclasses import dataclass
from enum import Enum
from typing import Any
from urllib.parse import urlsplit

import requests

from setting_values import is_loopback
from settings import Settings

from .errors import StackError
from .terminal import say

PROBE_TIMEOUT_SECONDS = 3.0
PULL = "ollama pull llama3.2:1b"


class Answer(Enum):
    """How an address answers the question for its models."""

    MODELS = "it has models"
    NO_MODEL = "it is an Ollama without any model"
    NOTHING = "nobody listens there"
    ILL = "somebody listens, but does not answer as Ollama does"
    PADDOCK = "it is a Paddock"


@dataclass(frozen=True)
class OllamaChoice:
    """The Ollamas of a start; `simulated` where there is none and the simulated one steps in."""

    hosts: tuple[str, ...]
    simulated: bool


def choose_ollama(settings: Settings) -> OllamaChoice:
    """
    Finds out which Ollama answers and says so. Only where none is configured and nobody listens at the
    default address is it simulated: an outage of a real one is waited for.

    Raises:
        StackError: no Ollama has a model, or an address is a Paddock.
    """
    hosts = settings.every_ollama_host
    answers = {host: probe(host) for host in hosts}
    for host, answer in answers.items():
        if answer is Answer.PADDOCK:
            raise StackError(
                f"OLLAMA_HOST={shown(host)} is a Paddock: set PADDOCK_OLLAMA_HOST to the address of an Ollama"
            )
    if not settings.ollama_configured and answers[hosts[0]] is Answer.NOTHING:
        url = f"http://127.0.0.1:{_free_port()}"
        say(
            f"No Ollama is configured and none answers at {hosts[0]}: a simulated Ollama answers instead, "
            "with made-up text. For real answers install Ollama (https://ollama.com), then: make stop"
        )
        return OllamaChoice((url,), simulated=True)
    if Answer.NO_MODEL in answers.values() and Answer.MODELS not in answers.values():
        without = next(host for host, answer in answers.items() if answer is Answer.NO_MODEL)
        raise StackError(f"The Ollama at {shown(without)} has no model yet: {PULL}")
    for host, answer in answers.items():
        if answer is Answer.MODELS:
            say(f"Ollama at {shown(host)}")
        else:
            say(f"Ollama at {shown(host)} can't answer now ({answer.value}): jobs wait until it does")
    return OllamaChoice(hosts, simulated=False)


def shown(base_url: str) -> str:
    """An address without the user name and password that it may carry."""
    return re.sub(r"://[^@/]*@", "://", base_url)


def probe(base_url: str) -> Answer:
    """Asks an address what it is."""
    url = urlsplit(base_url)
    host = url.hostname or ""
    try:
        socket.create_connection((host, url.port or 80), PROBE_TIMEOUT_SECONDS).close()
    except ConnectionRefusedError:
        return Answer.NOTHING
    except OSError:
        return Answer.ILL
    with requests.Session() as session:
        # As Ollama's own programs do: no proxy between this machine and itself.
        session.trust_env = not is_loopback(host)
        # Ollama has no such path. Paddock serves Ollama's own paths too, so those don't tell them apart.
        if _get_json(session, f"{base_url}/healthz").get("status") == "ok":
            return Answer.PADDOCK
        models = _get_json(session, f"{base_url}/api/tags").get("models")
    if not isinstance(models, list):
        return Answer.ILL
    return Answer.MODELS if models else Answer.NO_MODEL


def _get_json(session: requests.Session, url: str) -> dict[str, Any]:
    """The JSON object behind an address; empty where there is none."""
    try:
        body = session.get(url, timeout=PROBE_TIMEOUT_SECONDS).json()
    except requests.RequestException:  # its JSONDecodeError is one too
        return {}
    return body if isinstance(body, dict) else {}


def _free_port() -> int:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe_socket:
        probe_socket.bind(("127.0.0.1", 0))
        port: int = probe_socket.getsockname()[1]
        return port
