"""Running a job whose client is relayed the lines of its own route."""

from typing import Any

from jobs.records import Claimed, Outcome
from ollama_client.errors import OllamaError
from tasks.wire import WireOutcome, WireQuestion, ask_wire, client_error
from worker.child import Child
from worker.event_stream import Lines
from worker.keep_alive import KeepAlive
from worker.lease import Run
from worker.overlapping import limits_of_run

MAX_WHOLE_CHARS = 65_536


class Relay:
    """One run of such a job: pieces go into its events as they come."""

    def __init__(self, child: Child, question: WireQuestion) -> None:
        self._child = child
        self._question = question
        self._position = 0
        self._asked: WireOutcome | None = None

    @property
    def cannot_begin_again(self) -> bool:
        """Whether its client has lines already, and is the only one to wait for it."""
        return self._question.is_live and self._position > 0

    def generate(self, run: Run) -> Outcome:
        """
        Ask Ollama.

        Raises:
            OllamaError: what came of it.
        """
        with KeepAlive(self._child, run.claimed, self._question.body) as body:
            self._asked = ask_wire(
                self._child.transport,
                self._question.with_body(self._child.context_sizes.fit(run.claimed.model, body)),
                limits=limits_of_run(self._child, run),
                cancellation=run.cancellation,
                on_piece=lambda text, thinking, raw: self._pass_on(run, text, thinking, raw),
            )
        return self._asked.outcome

    def end(self) -> dict[str, Any]:
        """What its client gets now that the answer is stored; a long one in one piece comes from the row."""
        if self._asked is None:
            return {}
        if not self._question.is_streamed:
            whole = self._asked.whole
            return {"whole": whole} if len(whole) <= MAX_WHOLE_CHARS else {}
        return {"raw": self._asked.tail, "at": self._position, "is_one_object": self._asked.is_one_object}

    def error(self, error: OllamaError) -> dict[str, Any]:
        """What its client gets for an error that is final."""
        return {"error": client_error(self._question.route, error)}

    def _pass_on(self, run: Run, text: str, thinking: str, raw: str) -> None:
        if run.answered():
            self._child.events.answered(run.claimed.model)
        if not self._question.is_streamed:
            # Whoever looks at the job from elsewhere can wait for the batch.
            self._child.events.token(self._question.job_id, text, thinking, is_first=False)
            return
        lines = Lines(raw, self._position)
        is_first = self._position == 0
        self._position += len(raw)
        self._child.events.token(self._question.job_id, text, thinking, is_first=is_first, lines=lines)


def make_relay(child: Child, claimed: Claimed) -> Relay | None:
    """The relay of a claimed job; None for one of the Job API."""
    question = WireQuestion.of(claimed.job_id, claimed.model, claimed.input)
    return None if question is None else Relay(child, question)
