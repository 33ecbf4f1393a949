"""Running a request on the spot, without a row or a queue: eager mode, `apply()` and direct calls."""

from jobs.errors import NoModel
from jobs.requests import SubmitJob
from jobs.workers import InstalledModel, choose_default
from ollama_client.limits import Limits
from ollama_client.transport import OllamaTransport
from settings import Settings, get_settings
from tasks.generation import Question, ask, figures_of
from tasks.installed import read_models
from tasks.task_result import TaskResult, make_result


def limits_of(settings: Settings, total_seconds: float | None = None) -> Limits:
    """The settings' limits for one attempt."""
    return Limits(
        first_token_seconds=settings.first_token_timeout_seconds,
        between_tokens_seconds=settings.token_timeout_seconds,
        total_seconds=total_seconds,
    )


def run_inline(request: SubmitJob) -> TaskResult:
    """
    Ask the configured Ollama and wait for the whole answer.

    Raises:
        OllamaError: it could not answer.
    """
    settings = get_settings()
    transport = OllamaTransport(settings.ollama_host)
    try:
        model = request.model or settings.model or _default_model(read_models(transport))
        question = Question(request.resolved_kind, model, request.generation_input())
        outcome = ask(transport, question, limits=limits_of(settings, request.timeout_seconds))
    finally:
        transport.close()
    return make_result(
        job_id=None,
        kind=request.resolved_kind,
        model=model,
        data=outcome.result_data,
        figures=figures_of(outcome),
    )


def _default_model(models: list[InstalledModel]) -> str:
    chosen = choose_default(models)
    if chosen is None:
        raise NoModel
    return chosen
