"""Live progress of one job on standard error: a line that ticks on a terminal, plain lines elsewhere."""

import sys
import threading
import time
from collections.abc import Callable
from typing import Any, TextIO

TICK_SECONDS = 0.5
CLEAR_LINE = "\r\x1b[K"


class Progress:
    """
    Says what a job is waiting for until its first token.

    Args:
        stream: Where to; standard error if not given.
        clock: Seconds that only grow.
    """

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream or sys.stderr
        self._clock = clock
        self._is_terminal = self._stream.isatty()
        self._lock = threading.Lock()
        self._phase = ""
        self._since = clock()
        self._ended = threading.Event()
        if self._is_terminal:
            threading.Thread(target=self._tick, daemon=True).start()

    def show(self, phase: str) -> None:
        """The job is in this phase now; "" takes the line away, as an answer's text comes."""
        with self._lock:
            if phase == self._phase:
                return
            self._phase, self._since = phase, self._clock()
            if self._is_terminal:
                self._draw()
            elif phase:
                print(f"{phase} ...", file=self._stream, flush=True)

    def close(self) -> None:
        """Takes the line away for good."""
        self.show("")
        self._ended.set()

    def _tick(self) -> None:
        while not self._ended.wait(TICK_SECONDS):
            with self._lock:
                if self._phase:
                    self._draw()

    def _draw(self) -> None:
        seconds = self._clock() - self._since
        line = f"{CLEAR_LINE}{self._phase} ... {seconds:.0f} s" if self._phase else CLEAR_LINE
        self._stream.write(line)
        self._stream.flush()


def phase_of(job: dict[str, Any]) -> str:
    """What a job is waiting for, in words."""
    model = job.get("model") or "the model"
    if job.get("status") == "processing":
        return f"{model} is reading the prompt, loading first if it was not loaded"
    position = job.get("queue_position")
    if position == 0:
        words = ["Waiting for a free slot, next in the queue"]
    else:
        words = ["Waiting in the queue"] + ([f"behind {position}"] if position else [])
    estimate = job.get("estimated_wait_seconds")
    if estimate:
        words.append(f"(about {estimate:.0f} s)")
    if job.get("attempts"):
        words.append(f"after attempt {job['attempts']}")
    return " ".join(words)


def summary(job: dict[str, Any], where: str) -> str:
    """One line on a completed job: model, Ollama, speed, times."""
    parts = [f"{job.get('model')} on {where}"]
    if job.get("output_tokens") is not None:
        parts.append(f"{job['output_tokens']} tokens")
    if job.get("tokens_per_second") is not None:
        parts.append(f"{job['tokens_per_second']:.1f} tokens/s")
    for name, words in (
        ("queue_seconds", "waited {:.1f} s"),
        ("load_seconds", "loaded the model in {:.1f} s"),
        ("processing_time", "{:.1f} s in all"),
    ):
        if job.get(name):
            parts.append(words.format(job[name]))
    return ", ".join(parts)
