"""What a person is told while a job waits and when it is complete."""

import io

import pytest

from stack.progress import Progress, phase_of, summary


@pytest.mark.parametrize(
    ("job", "words"),
    [
        ({"status": "pending"}, "Waiting in the queue"),
        ({"status": "pending", "queue_position": 0}, "Waiting for a free slot, next in the queue"),
        (
            {"status": "pending", "queue_position": 3, "estimated_wait_seconds": 12.4, "attempts": 1},
            "Waiting in the queue behind 3 (about 12 s) after attempt 1",
        ),
        (
            {"status": "processing", "model": "m:1b"},
            "m:1b is reading the prompt, loading first if it was not loaded",
        ),
    ],
)
def test_phases_are_told_in_words(job: dict[str, object], words: str) -> None:
    """Unknown figures are left out."""
    assert phase_of(job) == words


def test_a_log_gets_a_line_for_each_phase() -> None:
    """Without a terminal nothing is drawn over."""
    stream = io.StringIO()
    progress = Progress(stream)
    for phase in ("one", "one", "two", ""):
        progress.show(phase)
    progress.close()
    assert stream.getvalue() == "one ...\ntwo ...\n"


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_has_one_line_that_is_taken_away() -> None:
    """The answer's text begins on a clean line."""
    stream = Terminal()
    progress = Progress(stream, clock=lambda: 0.0)
    progress.show("waiting")
    progress.show("")
    progress.close()
    assert stream.getvalue() == "\r\x1b[Kwaiting ... 0 s\r\x1b[K"


def test_a_summary_has_the_figures_that_are_known() -> None:
    """Model, Ollama, tokens, speed and times; what Ollama did not report is left out."""
    job = {"model": "m", "output_tokens": 12, "tokens_per_second": 45.12, "processing_time": 2.0}
    assert summary(job, "here") == "m on here, 12 tokens, 45.1 tokens/s, 2.0 s in all"
    assert summary({"model": "m"}, "here") == "m on here"
