"""
A job that was sent to Ollama before a slot was free.

The jobs before it were short; should one of them not be, it is taken out of Ollama's queue again, where no
priority reaches it. One that has begun, and is silent as long over its prompt, only loses that time.
"""

from dataclasses import replace

from jobs.scheduling.overlap import LONG_SECONDS
from ollama_client.errors import FirstTokenTimeout, OllamaError
from ollama_client.limits import Limits
from tasks.inline import limits_of
from worker.child import Child
from worker.lease import Run


def limits_of_run(child: Child, run: Run) -> Limits:
    """The settings' limits, and a narrow one for the first token of a job that has to wait for its slot."""
    limits = limits_of(child.resources.settings, run.claimed.timeout_seconds)
    return replace(limits, first_token_seconds=LONG_SECONDS) if run.overlaps else limits


def waited_in_vain(run: Run, error: OllamaError) -> bool:
    """Whether a run has not begun because its slot did not become free."""
    return run.overlaps and isinstance(error, FirstTokenTimeout)
