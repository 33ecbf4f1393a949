"""Asking again: which errors, how often, after how long."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import tenacity

from ollama_client.errors import OllamaError, OllamaTimeout

_log = logging.getLogger("ollama_client")

T = TypeVar("T")


def doubling(attempt: int) -> float:
    """Seconds to wait after the first, second, third … attempt: 2, 4, 8 …, at most 60."""
    return min(2.0**attempt, 60.0)


@dataclass(frozen=True)
class RetryPolicy:
    """
    How a call is repeated.

    Attributes:
        attempts: Attempts in all, the first included.
        backoff: Seconds to wait after attempt number n (from 1).
        sleep: Waits so many seconds; tests hand in one that doesn't.
    """

    attempts: int = 3
    backoff: Callable[[int], float] = doubling
    sleep: Callable[[float], None] = time.sleep

    def run(self, ask: Callable[[], T], count: Callable[[int], None]) -> T:
        """
        The result of `ask`, called until it succeeds or asking again is pointless.

        Args:
            ask: One attempt.
            count: Told the attempt's number as it begins.

        Raises:
            OllamaError: Of the last attempt.
        """
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self.attempts),
            wait=lambda state: self.backoff(state.attempt_number),
            retry=tenacity.retry_if_exception(worth_repeating),
            sleep=self.sleep,
            before=lambda state: count(state.attempt_number),
            before_sleep=_report,
            reraise=True,
        )
        return retrying(ask)


def worth_repeating(error: BaseException) -> bool:
    """
    Whether the same request may work the next time.

    Every timeout is: the first attempt may have spent it on loading the model.
    """
    return isinstance(error, OllamaError) and (error.is_retryable or isinstance(error, OllamaTimeout))


def _report(state: tenacity.RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    wait_seconds = state.next_action.sleep if state.next_action else 0.0
    _log.warning("attempt %d failed (%s), next in %g s", state.attempt_number, error, wait_seconds)
