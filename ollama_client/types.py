"""The shapes that `OllamaClient` hands out."""

from typing import Any, Literal, NotRequired, TypedDict


class Result(TypedDict):
    """
    What every call that does not raise answers.

    Keys:
        success: Whether it worked; then there is no `error`.
        error: What went wrong and what to do about it.
        error_code: The error's stable `code`; `invalid_argument` for an argument we refused.
        response_time: Seconds from the call to its end, waits between attempts included.
        attempts: How often Ollama was asked; 0 for a refused argument.
        model: The model that was asked, None where none could be chosen.
        tokens: Tokens generated (`embed`: tokens read).
    """

    success: bool
    response_time: float
    attempts: int
    model: str | None
    tokens: int
    error: NotRequired[str]
    error_code: NotRequired[str]


class TextResult(Result):
    """A `Result` with the generated `text`; of a failure what had come until then, mostly ""."""

    text: str


class ChatResult(TextResult):
    """A `TextResult` with the whole `message`: `role`, `content`, and `tool_calls` and `thinking` if any."""

    message: dict[str, Any]


class EmbedResult(Result):
    """A `Result` with the `embeddings`, one list of floats for each text, in order."""

    embeddings: list[list[float]]


class Metrics(TypedDict):
    """
    Counts since the client was made; a call with three attempts is one request.

    Keys:
        success_rate: Percent; 100.0 before the first request, so that a fresh client is healthy.
        avg_response_time: Seconds, mean over successful requests; 0.0 before the first.
    """

    total_requests: int
    successful_requests: int
    failed_requests: int
    success_rate: float
    avg_response_time: float


class Health(TypedDict):
    """
    What `health_check` answers.

    Keys:
        status: `unhealthy`: Ollama does not answer. `degraded`: it does, but the model is
            missing or the success rate is below 90 percent.
        available: Ollama answers.
        model: The model in use, None where there is none to choose.
        models: Names of the installed models.
        error: Why it is not available.
    """

    status: Literal["healthy", "degraded", "unhealthy"]
    available: bool
    model: str | None
    model_available: bool
    models: list[str]
    metrics: Metrics
    error: NotRequired[str]
