"""Counting requests, from several threads."""

import threading

from ollama_client.types import Metrics


class RequestCounter:
    """How many requests there were, how many worked, and how long those took."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._successful = 0
        self._failed = 0
        self._seconds = 0.0

    def succeeded(self, seconds: float) -> None:
        """A request has worked, in so many seconds."""
        with self._lock:
            self._successful += 1
            self._seconds += seconds

    def failed(self) -> None:
        """A request has failed for good."""
        with self._lock:
            self._failed += 1

    def snapshot(self) -> Metrics:
        """All figures, of the same moment."""
        with self._lock:
            successful, failed, seconds = self._successful, self._failed, self._seconds
        total = successful + failed
        return {
            "total_requests": total,
            "successful_requests": successful,
            "failed_requests": failed,
            "success_rate": 100.0 * successful / total if total else 100.0,
            "avg_response_time": seconds / successful if successful else 0.0,
        }
