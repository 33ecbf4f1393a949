"""The REST API as `ask` uses it: submit, follow, whatever happens to the web process meanwhile."""

import time
import uuid
from collections.abc import Iterator
from typing import Any, Self

import requests

from .errors import StackError
from .server_sent_events import Event, read_events

CONNECT_TIMEOUT_SECONDS = 5.0
# The API sends comments while nothing happens; silence for so long is a dead connection.
SILENCE_TIMEOUT_SECONDS = 90.0
# A web process that is restarted is back within this time.
RECONNECT_FOR_SECONDS = 60.0
RECONNECT_AFTER_SECONDS = 0.5


class Refused(StackError):
    """The API took no job; `code` is the problem's."""

    def __init__(self, line: str, code: str) -> None:
        super().__init__(line, status=1)
        self.code = code


class Api:
    """The few routes that asking takes."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy, and no key of a .netrc, between this machine and itself
        self._session.headers["Authorization"] = f"Bearer {key}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def submit(self, body: dict[str, Any]) -> dict[str, Any]:
        """
        The accepted job.

        Raises:
            Refused: the line is the API's own reason.
            StackError: the API is gone for a minute.
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
                raise _refusal(response)
            job: dict[str, Any] = response.json()
            return job

    def events(self, job_id: str) -> Iterator[Event]:
        """
        A job's events up to `done`, through restarts of the web process.

        Raises:
            Refused: the line is the API's own reason.
            StackError: the API is gone for a minute.
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
                        raise _refusal(response)
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

    def knows_models(self) -> bool:
        """Whether any worker has told which models its Ollama has."""
        try:
            response = self._session.get(f"{self.url}/api/llm/models/", timeout=CONNECT_TIMEOUT_SECONDS)
            return bool(response.json()["models"])
        except (requests.RequestException, KeyError, TypeError):
            return False

    def serves(self, path: str) -> bool:
        """Whether this page is there."""
        try:
            return self._session.get(f"{self.url}{path}", timeout=CONNECT_TIMEOUT_SECONDS).status_code == 200
        except requests.RequestException:
            return False


def _refusal(response: requests.Response) -> Refused:
    """The API's reason (RFC 9457) in one line."""
    try:
        problem = response.json()
    except ValueError:
        problem = {}
    if not isinstance(problem, dict):
        problem = {}
    code = str(problem.get("code", ""))
    if response.status_code == 401:
        line = (
            "The API does not know this key: set PADDOCK_API_KEY; or remove var/admin.key, make stop, "
            "and ask again for a new one"
        )
        return Refused(line, code)
    reason = problem.get("detail") or problem.get("title") or f"HTTP {response.status_code}"
    fields = problem.get("errors")
    return Refused(
        f"Refused: {reason}" + (f" {fields}" if fields else "") + (f" [{code}]" if code else ""), code
    )
