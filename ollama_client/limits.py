"""How long a call may wait, and for which of its limits the next wait counts."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from ollama_client.errors import (
    BetweenTokensTimeout,
    FirstTokenTimeout,
    OllamaTimeout,
    OllamaUnavailable,
    TotalTimeout,
)

Clock = Callable[[], float]


@dataclass(frozen=True)
class Limits:
    """
    Time limits of one call, in seconds.

    Attributes:
        connect_seconds: To open the connection, over all addresses of the host.
        first_token_seconds: From sending the request until the first line of the answer;
            waiting in Ollama's queue and loading the model are part of it.
        between_tokens_seconds: From then on, between two lines.
        total_seconds: The whole call, connecting included; None for no limit.

    Raises:
        ValueError: A limit is not above zero.
    """

    connect_seconds: float = 5.0
    first_token_seconds: float = 300.0
    between_tokens_seconds: float = 60.0
    total_seconds: float | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be above 0, not {value!r}")


class Timer:
    """
    The limits of one call under way.

    Each phase restarts the wait that is measured; `seconds_left` is what a socket may
    block next, and remembers which limit that was, for the error that names it.
    """

    def __init__(self, limits: Limits, clock: Clock = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._started = clock()
        self._phase("connecting", limits.connect_seconds, OllamaUnavailable)

    def _phase(self, name: str, seconds: float, error: type[OllamaTimeout] | type[OllamaUnavailable]) -> None:
        self._name, self._seconds, self._error = name, seconds, error
        self._since = self._clock()

    def connecting(self) -> None:
        """A connection is being opened from now on."""
        self._phase("connecting", self._limits.connect_seconds, OllamaUnavailable)

    def sending(self) -> None:
        """The request is being sent from now on; the first token is awaited."""
        self._phase("waiting for the first token", self._limits.first_token_seconds, FirstTokenTimeout)

    def reading_on(self) -> None:
        """Something has arrived; the next line is awaited from now on."""
        self._phase("between two tokens", self._limits.between_tokens_seconds, BetweenTokensTimeout)

    def seconds_left(self) -> float:
        """
        Seconds that the next wait may take, above zero.

        Raises:
            OllamaTimeout, OllamaUnavailable: There are none left.
        """
        left, _ = self._tightest()
        if left <= 0:
            raise self.expired()
        return left

    def expired(self) -> OllamaTimeout | OllamaUnavailable:
        """The error of the limit that the present wait is bound by."""
        _, total = self._tightest()
        if total:
            return TotalTimeout(f"Ollama timed out: no complete answer in {self._limits.total_seconds:g} s")
        if self._error is OllamaUnavailable:
            return OllamaUnavailable(f"Ollama is not reachable: no connection in {self._seconds:g} s")
        return self._error(f"Ollama timed out: nothing came in {self._seconds:g} s {self._name}")

    def _tightest(self) -> tuple[float, bool]:
        now = self._clock()
        left = self._seconds - (now - self._since)
        if self._limits.total_seconds is None:
            return left, False
        of_total = self._limits.total_seconds - (now - self._started)
        # A tie while connecting is the host's fault, later the whole call's.
        if of_total < left or (of_total == left and self._error is not OllamaUnavailable):
            return of_total, True
        return left, False
