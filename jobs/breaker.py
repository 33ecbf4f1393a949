"""
Doing without something that does not answer, instead of waiting for its time-out each time.
"""

import threading
import time


class Breaker:
    """Lets one try a second through while tries fail."""

    def __init__(self, pause_seconds: float = 1.0) -> None:
        self._pause_seconds = pause_seconds
        self._lock = threading.Lock()
        self._closed_until = float("-inf")

    def allows(self) -> bool:
        with self._lock:
            now = time.monotonic()
            if now < self._closed_until:
                return False
            if self._closed_until > float("-inf"):
                self._closed_until = now + self._pause_seconds  # the others wait for this try
            return True

    def succeeded(self) -> None:
        self._closed_until = float("-inf")

    def failed(self) -> None:
        self._closed_until = time.monotonic() + self._pause_seconds
