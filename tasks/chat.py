"""tasks.chat: a conversation, and the message that comes next."""

from typing import Any

from tasks.celery_app import app
from tasks.job_task import JobTask
from tasks.task_result import as_text


@app.task(base=JobTask, name="tasks.chat", typing=False)
def chat(
    messages: Any,
    *,
    model: str | None = None,
    tools: list[dict[str, Any]] | None = None,
    format: str | dict[str, Any] | None = None,
    think: bool | str | None = None,
    options: dict[str, Any] | None = None,
    keep_alive: str | float | None = None,
    timeout_seconds: float | None = None,
    deadline_seconds: float | None = None,
    metadata: dict[str, str] | None = None,
) -> dict[str, Any]:
    """
    Continue a conversation. A plain text, or in a chain the result before, is the user's only message.

    Returns:
        The request as the queue takes it; what callers get is `TaskResult` with `message`.
    """
    arguments = dict(locals())
    messages = as_text(messages)
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    return {**arguments, "messages": messages}
