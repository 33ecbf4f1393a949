"""
A self-check against a real Ollama: `python -m ollama_client.check [--host --port --model]`.

Prints what was measured beside what is expected; exit status 0 when every step ran and
passed, else 1. A step that could not be run counts as neither passed nor failed, but the
check as a whole has not passed then.
"""

import argparse
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from ollama_client.client import OllamaClient
from ollama_client.retry import RetryPolicy
from ollama_client.shared import get_ollama_client

PROMPT = "Name a colour."
MAX_TOKENS = 16
# Long enough to load a large model from a slow disk.
TIMEOUT_SECONDS = 120
TEMPERATURES = (0.1, 0.3, 0.7)
BATCH = 4
# One slot in Ollama makes a batch no faster; what it must not be is much slower.
SLACK_SECONDS = 0.5


@dataclass(frozen=True)
class Row:
    """One line of the table; `passed` is None for a step that was not run."""

    step: str
    measured: str
    target: str
    passed: bool | None


class Check:
    """The steps, in order, on one client."""

    def __init__(self, host: str, port: int, model: str | None) -> None:
        self.rows: list[Row] = []
        started = time.monotonic()
        self.client = OllamaClient(host, port, model, timeout=TIMEOUT_SECONDS, max_retries=1)
        self._created_seconds = time.monotonic() - started
        self._usable = False

    def run(self) -> bool:
        """All steps; whether every one ran and passed."""
        for step, target, measure, needs_ollama in self._steps():
            self._run_step(step, target, measure, needs_ollama)
        return all(row.passed for row in self.rows)

    def _steps(self) -> Sequence[tuple[str, str, Callable[[], tuple[str, bool]], bool]]:
        return (
            ("creation", "under 1 s", self._creation, False),
            ("health", "healthy", self._health, False),
            ("warm-up", "an answer", self._generation, True),
            ("generation", "an answer", self._generation, True),
            ("temperatures", f"{len(TEMPERATURES)} answers", self._temperatures, True),
            ("batch of four", f"{BATCH} answers, not slower", self._batch, True),
            ("unreachable host", "error with remedy, 3 attempts", unreachable, False),
            ("metrics", "100 % of the above", self._metrics, True),
            ("singleton", "the same object", singleton, False),
            ("shutdown", "refuses what comes after", self._shutdown, False),
        )

    def _run_step(
        self, step: str, target: str, measure: Callable[[], tuple[str, bool]], needs_ollama: bool
    ) -> None:
        if needs_ollama and not self._usable:
            self.rows.append(Row(step, "no usable Ollama", target, None))
            return
        try:
            measured, passed = measure()
        except Exception as error:  # a broken step is a failed one, and the next is still run
            measured, passed = f"{type(error).__name__}: {error}", False
        self.rows.append(Row(step, measured, target, passed))

    def _creation(self) -> tuple[str, bool]:
        return f"{self._created_seconds * 1000:.1f} ms", self._created_seconds < 1

    def _health(self) -> tuple[str, bool]:
        health = self.client.health_check()
        self._usable = health["available"] and health["model_available"]
        said = health.get("error") or f"{health['status']}, model {health['model'] or 'none'}"
        if health["available"] and not health["model_available"]:
            said += " not installed: `ollama pull llama3.2:1b`"
        return said, health["status"] == "healthy"

    def _generation(self) -> tuple[str, bool]:
        result = self.client.generate(PROMPT, max_tokens=MAX_TOKENS)
        if not result["success"]:
            return result["error"], False
        return f"{result['tokens']} tokens in {result['response_time']:.2f} s", result["tokens"] > 0

    def _temperatures(self) -> tuple[str, bool]:
        results = [self.client.generate(PROMPT, value, MAX_TOKENS) for value in TEMPERATURES]
        worked = [value for value, result in zip(TEMPERATURES, results, strict=True) if result["success"]]
        return f"answers at {', '.join(map(str, worked)) or 'none'}", len(worked) == len(TEMPERATURES)

    def _batch(self) -> tuple[str, bool]:
        started = time.monotonic()
        for _ in range(BATCH):
            self.client.generate(PROMPT, max_tokens=MAX_TOKENS)
        one_by_one = time.monotonic() - started
        started = time.monotonic()
        results = self.client.generate_batch([PROMPT] * BATCH, max_tokens=MAX_TOKENS)
        together = time.monotonic() - started
        worked = sum(result["success"] for result in results)
        measured = f"{worked} answers, {one_by_one / together:.1f} times as fast as one by one"
        return measured, worked == BATCH and together < one_by_one + SLACK_SECONDS

    def _metrics(self) -> tuple[str, bool]:
        metrics = self.client.get_metrics()
        expected = 2 + len(TEMPERATURES) + 2 * BATCH
        measured = (
            f"{metrics['successful_requests']} of {metrics['total_requests']}, "
            f"{metrics['success_rate']:.0f} %, mean {metrics['avg_response_time']:.2f} s"
        )
        return measured, metrics["successful_requests"] == metrics["total_requests"] == expected

    def _shutdown(self) -> tuple[str, bool]:
        self.client.shutdown()
        result = self.client.generate(PROMPT)
        refused = result.get("error_code") == "aborted"
        return "refused" if refused else "still answers", refused


def unreachable() -> tuple[str, bool]:
    """A port that nobody listens on: three attempts, the waits between them left out."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    waits: list[float] = []
    client = OllamaClient("127.0.0.1", port, "any", timeout=2, retry=RetryPolicy(3, sleep=waits.append))
    result = client.generate(PROMPT)
    client.shutdown()
    measured = f"{result['attempts']} attempts, waits of {' and '.join(f'{wait:g}' for wait in waits)} s"
    passed = not result["success"] and result["attempts"] == 3 and "ollama serve" in result["error"]
    return f"{result.get('error_code')}, {measured}", passed


def singleton() -> tuple[str, bool]:
    """Two calls, one object."""
    same = get_ollama_client() is get_ollama_client()
    return "the same object" if same else "two objects", same


def table(rows: Sequence[Row]) -> str:
    """The rows as aligned text."""
    words = {True: "passed", False: "FAILED", None: "not run"}
    cells = [("step", "result", "target", "measured")]
    cells += [(row.step, words[row.passed], row.target, row.measured) for row in rows]
    widths = [max(len(cell[column]) for cell in cells) for column in range(3)]
    return "\n".join(
        "  ".join([*(text.ljust(width) for text, width in zip(cell, widths, strict=False)), cell[3]])
        for cell in cells
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the check as a command; its exit status."""
    parser = argparse.ArgumentParser(prog="python -m ollama_client.check", description="Check an Ollama.")
    parser.add_argument("--host", default="localhost")
    parser.add_argument("--port", type=int, default=11434)
    parser.add_argument("--model", help="default: one that is loaded, else the smallest installed")
    asked = parser.parse_args(arguments)
    try:
        check = Check(asked.host, asked.port, asked.model)
    except ValueError as error:
        parser.error(str(error))
    address = urlsplit(check.client.base_url)
    # Without user name and password.
    print(f"Ollama at {address.scheme}://{address.netloc.rpartition('@')[2]}{address.path}")
    passed = check.run()
    print(table(check.rows))
    print("All steps passed." if passed else "Not passed.")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
