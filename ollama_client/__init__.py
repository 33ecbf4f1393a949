"""
A client for Ollama that stands alone.

`OllamaClient` answers with dicts and retries; `OllamaTransport` makes one exchange,
streams at full speed, can be cancelled from another thread, and raises `OllamaError`.
"""

import logging

from ollama_client.cancellation import Cancellation
from ollama_client.client import OllamaClient
from ollama_client.errors import (
    Aborted,
    BadRequest,
    BetweenTokensTimeout,
    ConnectionCut,
    FirstTokenTimeout,
    GenerationAborted,
    InvalidResponse,
    ModelNotFound,
    NoModelInstalled,
    OllamaBusy,
    OllamaError,
    OllamaTimeout,
    OllamaUnavailable,
    ServerError,
    StreamError,
    TotalTimeout,
)
from ollama_client.host import parse_host
from ollama_client.limits import Limits
from ollama_client.models import canonical_name, choose_model
from ollama_client.retry import RetryPolicy
from ollama_client.shared import get_ollama_client, reset_ollama_client
from ollama_client.stream import OllamaStream
from ollama_client.transport import OllamaTransport

__all__ = [
    "Aborted",
    "BadRequest",
    "BetweenTokensTimeout",
    "Cancellation",
    "ConnectionCut",
    "FirstTokenTimeout",
    "GenerationAborted",
    "InvalidResponse",
    "Limits",
    "ModelNotFound",
    "NoModelInstalled",
    "OllamaBusy",
    "OllamaClient",
    "OllamaError",
    "OllamaStream",
    "OllamaTimeout",
    "OllamaTransport",
    "OllamaUnavailable",
    "RetryPolicy",
    "ServerError",
    "StreamError",
    "TotalTimeout",
    "canonical_name",
    "choose_model",
    "get_ollama_client",
    "parse_host",
    "reset_ollama_client",
]

# Retries are logged; whether anybody sees it is the application's choice.
logging.getLogger(__name__).addHandler(logging.NullHandler())
