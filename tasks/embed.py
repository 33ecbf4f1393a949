"""tasks.embed: one text or several, and a vector for each."""

from typing import Any

from tasks.celery_app import app
from tasks.job_task import JobTask
from tasks.task_result import as_text


@app.task(base=JobTask, name="tasks.embed", typing=False)
def embed(
    input: Any,
    *,
    model: str | None = None,
    options: dict[str, Any] | None = None,
    keep_alive: str | float | None = None,
    timeout_seconds: float | None = None,
    deadline_seconds: float | None = None,
    metadata: dict[str, str] | None = None,
) -> dict[str, Any]:
    """
    Embed texts. In a chain, a result before stands for its text.

    Returns:
        The request as the queue takes it; what callers get is `TaskResult` with `embeddings`.
    """
    return {
        **locals(),
        "input": [as_text(text) for text in input] if isinstance(input, list) else as_text(input),
    }
