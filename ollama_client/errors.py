"""
Everything that may go wrong between us and Ollama, as one tree.

OllamaError
├── OllamaUnavailable            refused, unknown host, connect timeout       outage
│   └── ConnectionCut            ended or reset in the middle                 outage
├── OllamaBusy                   503: Ollama's own queue is full              outage
├── OllamaTimeout
│   ├── FirstTokenTimeout        nothing came                                 retryable
│   ├── BetweenTokensTimeout     it came and then stopped                     retryable
│   └── TotalTimeout             the caller's own limit for the whole
├── BadRequest                   400 and the other 4xx
│   └── ModelNotFound            404
│       └── NoModelInstalled     Ollama has no model to choose from
├── ServerError                  5xx                                          retryable
├── StreamError                  {"error": …} after the start                 retryable
├── InvalidResponse              an answer that isn't Ollama's                retryable
├── GenerationAborted            200, properly ended, never `done: true`
└── Aborted                      cancelled by us

Messages may quote Ollama's error text, never the prompt: they end up in logs.
"""

from typing import Any, ClassVar


class OllamaError(Exception):
    """
    Root of the tree.

    Attributes:
        code: Stable snake_case name, for records and API answers.
        remedy: What the reader can do about it, one sentence.
        is_outage: Ollama is not there or takes nothing: says nothing about the request,
            so it should not count as an attempt.
        is_retryable: The same request may succeed later.
        status: HTTP status of the answer, None where there was none.
        body: The error body: parsed JSON, else text, else None.
    """

    code: ClassVar[str] = "ollama_error"
    remedy: ClassVar[str] = "See Ollama's log for the cause."
    is_outage: ClassVar[bool] = False
    is_retryable: ClassVar[bool] = False

    # Only the message is positional: exceptions are pickled as (class, args, __dict__).
    def __init__(self, message: str = "", *, status: int | None = None, body: Any = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip().partition("\n")[0])
        self.status = status
        self.body = body


class OllamaUnavailable(OllamaError):
    """Ollama is not reachable."""

    code = "ollama_unavailable"
    remedy = "Start Ollama with `ollama serve`, or correct the host and port."
    is_outage = True
    is_retryable = True


class ConnectionCut(OllamaUnavailable):
    """The connection to Ollama was cut before the answer was complete."""

    code = "ollama_connection_cut"
    remedy = "Check that Ollama is still running; it was killed, restarted or cut off by a proxy."


class OllamaBusy(OllamaError):
    """Ollama's own queue is full (OLLAMA_MAX_QUEUE)."""

    code = "ollama_busy"
    remedy = "Wait and try again, or raise OLLAMA_MAX_QUEUE."
    is_outage = True
    is_retryable = True


class OllamaTimeout(OllamaError):
    """Ollama did not answer in time."""

    code = "ollama_timeout"
    remedy = "Raise the timeout, warm the model up first, or use a smaller model."
    is_retryable = True


class FirstTokenTimeout(OllamaTimeout):
    """Ollama sent nothing within the first-token limit."""

    code = "first_token_timeout"


class BetweenTokensTimeout(OllamaTimeout):
    """Ollama stopped sending in the middle of an answer."""

    code = "between_tokens_timeout"


class TotalTimeout(OllamaTimeout):
    """The answer was not complete within the total limit."""

    code = "total_timeout"
    is_retryable = False


class BadRequest(OllamaError):
    """Ollama refused the request."""

    code = "bad_request"
    remedy = "Correct the request; repeating it unchanged can't help."


class ModelNotFound(BadRequest):
    """Ollama does not have this model."""

    code = "model_not_found"
    remedy = "Install it with `ollama pull MODEL`, or choose one that `ollama list` shows."


class NoModelInstalled(ModelNotFound):
    """Ollama has no model that can do this."""

    remedy = "Install one: `ollama pull llama3.2:1b`."


class ServerError(OllamaError):
    """Ollama failed with a 5xx status."""

    is_retryable = True


class StreamError(OllamaError):
    """Ollama reported an error after it had begun to answer."""

    is_retryable = True


class InvalidResponse(OllamaError):
    """The answer is not one that Ollama gives."""

    code = "invalid_response"
    remedy = "Check that the host and port are Ollama's and not another server's."
    is_retryable = True


class GenerationAborted(OllamaError):
    """
    Ollama ended the answer properly but without `done: true`.

    It does so after 30 equal tokens in a row. Neither a success nor an outage.

    Attributes:
        text: What had been generated until then.
    """

    code = "generation_aborted"
    remedy = "Raise the temperature or the repeat penalty: the model kept repeating itself."

    def __init__(
        self, message: str = "", *, text: str = "", status: int | None = None, body: Any = None
    ) -> None:
        super().__init__(message, status=status, body=body)
        self.text = text


class Aborted(OllamaError):
    """The call was cancelled on our side."""

    code = "aborted"
    remedy = "None needed: the caller asked for it."
