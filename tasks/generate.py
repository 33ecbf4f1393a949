"""tasks.generate: one prompt, one text."""

from typing import Any

from tasks.celery_app import app
from tasks.job_task import JobTask
from tasks.task_result import as_text


@app.task(base=JobTask, name="tasks.generate", typing=False)
def generate(
    prompt: str,
    *,
    model: str | None = None,
    system: str | None = None,
    images: list[str] | None = None,
    format: str | dict[str, Any] | None = None,
    think: bool | str | None = None,
    options: dict[str, Any] | None = None,
    keep_alive: str | float | None = None,
    timeout_seconds: float | None = None,
    deadline_seconds: float | None = None,
    metadata: dict[str, str] | None = None,
) -> dict[str, Any]:
    """
    Answer a prompt. The arguments are the Job API's; in a chain, a result before stands for its text.

    Returns:
        The request as the queue takes it; what callers get is `TaskResult`.
    """
    return {**locals(), "prompt": as_text(prompt)}
