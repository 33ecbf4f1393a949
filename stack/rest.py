"""The REST API as `ask` uses it: submit, follow, whatever happens to the web process meanwhile."""

import time
import uuid
from collections.abc import Iterator
from typing import Any

import requests

from .errors import StackError
from .server_sent_events import Event, read_events

CONNECT_TIMEOUT_SECONDS = 5.0
# The API sends comments while nothing happens; silence for so long is a dead connection.
SILENCE_TIMEOUT_SECONDS = 90.0
# A web process that is restarted is back within this time.
RECONNECT_FOR_SECONDS = 60.0
RECONNECT_AFTER_SECONDS = 0.5


class Api:
    """The two routes that asking takes."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy, and no key of a .netrc, between this machine and itself
        self._session.headers["Authorization"] = f"Bearer {key}"

    def submit(self, body: dict[str, Any]) -> dict[str, Any]:
        """
        The accepted job.

        Raises:
            StackError: refused; the line is the API's own reason.
        """
        # Sent again after a lost answer, it is the same job.
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        deadline = time.monotonic() + RECONNECT_FOR_SECONDS
        while True:
            try:
                response = self._session.post(
                    f"{self.url}/api/llm/jobs/submit/", json=body, headers=headers, timeout=30
                )
            except requests.ConnectionError:
                if time.monotonic() > deadline:
                    raise StackError(
                        f"{self.url} does not answer: make status shows what runs", status=1
                    ) from None
                time.sleep(RECONNECT_AFTER_SECONDS)
                continue
            if not response.ok:
                raise StackError(_problem(response), status=1)
            job: dict[str, Any] = response.json()
            return job

    def events(self, job_id: str) -> Iterator[Event]:
        """
        A job's events up to `done`, through restarts of the web process.

        Raises:
            StackError: the API refuses, or is gone for a minute.
        """
        last_id = ""
        deadline = time.monotonic() + RECONNECT_FOR_SECONDS
        while True:
            headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_id} if last_id else {})
            try:
                with self._session.get(
                    f"{self.url}/api/llm/jobs/{job_id}/events/",
                    headers=headers,
                    stream=True,
                    timeout=(CONNECT_TIMEOUT_SECONDS, SILENCE_TIMEOUT_SECONDS),
                ) as response:
                    if response.status_code < 500 and not response.ok:
                        raise StackError(_problem(response), status=1)
                    for event in read_events(response.iter_content(chunk_size=None)) if response.ok else ():
                        deadline = time.monotonic() + RECONNECT_FOR_SECONDS
                        last_id = event.id or last_id
                        yield event
                        if event.type == "done":
                            return
            except requests.RequestException:
                pass  # cut or refused: the web process is being restarted
            if time.monotonic() > deadline:
                raise StackError(f"{self.url} went away; job {job_id} goes on", status=1)
            time.sleep(RECONNECT_AFTER_SECONDS)

    def serves(self, path: str) -> bool:
        """Whether this page is there."""
        try:
            return self._session.get(f"{self.url}{path}", timeout=CONNECT_TIMEOUT_SECONDS).status_code == 200
        except requests.RequestException:
            return False


def _problem(response: requests.Response) -> str:
    """The API's reason for a refusal (RFC 9457), in one line."""
    try:
        problem = response.json()
    except ValueError:
        problem = {}
    if response.status_code == 401:
        return (
            "The API does not know this key: set PADDOCK_API_KEY; or remove var/admin.key, make stop, "
            "and ask again for a new one"
        )
    reason = problem.get("detail") or problem.get("title") or f"HTTP {response.status_code}"
    code = problem.get("code")
    fields = problem.get("errors")
    return f"Refused: {reason}" + (f" [{code}]" if code else "") + (f" {fields}" if fields else "")
