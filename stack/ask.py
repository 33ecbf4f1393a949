"""`make ask`: one question through the REST API, its answer streamed, the stack started if it is not up."""

import re
import sys
import time
from typing import Any

from settings import Settings

from .errors import StackError
from .places import Places, Running
from .progress import Progress, phase_of, summary
from .rest import Api, Refused
from .terminal import say

USAGE = 'Nothing to ask. Usage: make ask PROMPT="Why is the sky blue?" [MODEL=llama3.2:1b]'
# How long after a start no model may be known yet, and what the API then says.
SETTLING_SECONDS = 60.0
SETTLE_EVERY_SECONDS = 0.2
NO_SUCH_MODEL = ("no_model", "model_not_found")


def ask(settings: Settings, prompt: bytes, model: bytes) -> int:
    """
    Asks and returns the exit status: 0 answered, 1 failed, 130 left running at Ctrl-C.

    Args:
        settings: This process's settings.
        prompt: UTF-8, sent as it is.
        model: A model's name in UTF-8; empty for the active one.

    Raises:
        StackError: nothing was asked, the stack does not start, or the API refuses.
    """
    if not prompt.strip():
        raise StackError(USAGE)
    body: dict[str, Any] = {"prompt": _text(prompt, "PROMPT"), "priority": "high"}
    if model.strip():
        body["model"] = _text(model, "MODEL").strip()
    running = _running(settings)
    with Api(running.url, _key(settings)) as api:
        return _ask(api, body, running, Places(settings.var_dir))


def _ask(api: Api, body: dict[str, Any], running: Running, places: Places) -> int:
    job: dict[str, Any] = {}
    progress = Progress()
    try:
        job = submit_when_settled(api, body, progress, places)
        done = follow(api, job, progress)
    except KeyboardInterrupt:
        progress.close()
        if job:
            say(f"\nLeft running: job {job['job_id']}, {running.url}/api/llm/jobs/{job['job_id']}/")
        return 130
    finally:
        progress.close()
    status = report(done, running)
    _say_where(api, running, places)
    return status


def submit_when_settled(api: Api, body: dict[str, Any], progress: Progress, places: Places) -> dict[str, Any]:
    """Submits; just after a start that takes until a worker has told which models its Ollama has."""
    settled = False
    while True:
        try:
            return api.submit(body)
        except Refused as refused:
            age = time.time() - places.note.stat().st_mtime
            if settled or refused.code not in NO_SUCH_MODEL or age > SETTLING_SECONDS:
                raise
        progress.show("Waiting for a worker to tell which models there are")
        time.sleep(SETTLE_EVERY_SECONDS)
        settled = api.knows_models()  # they may have become known since the refusal: once more


def _text(value: bytes, variable: str) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise StackError(f"{variable} is not UTF-8 text (byte {error.start}): write it in UTF-8") from None


def _running(settings: Settings) -> Running:
    """The stack of this folder, started if need be."""
    places = Places(settings.var_dir)
    running = Running.read(places) if places.is_up() else None
    if running is None:
        from .lifecycle import start_in_background  # late: an asked question that finds the stack up is quick

        return start_in_background(settings)
    if "port" in settings.model_fields_set and running.url != settings.base_url:
        say(f"This folder's stack is already up at {running.url}; make stop, then PORT takes effect.")
    return running


def _key(settings: Settings) -> str:
    if settings.api_key:
        return settings.api_key
    path = Places(settings.var_dir).admin_key
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise StackError(f"no API key: set PADDOCK_API_KEY ({path}: {error.strerror})") from None


def follow(api: Api, job: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Writes the answer as it comes and returns the complete job."""
    progress.show(phase_of(job))
    written = ""
    for event in api.events(job["job_id"]):
        if event.type == "status":
            if not written:
                progress.show(phase_of(event.data))
        elif event.type == "token":
            text = event.data.get("text", "")
            if not text and event.data.get("thinking") and not written:
                progress.show(f"{job.get('model')} is thinking")
            if text:
                progress.show("")
                written += text
                _write(text)
        elif event.type == "restart":
            if written:
                say("\n--- The attempt broke off; what follows is a new one, from the beginning. ---")
            written = ""
        elif event.type == "done":
            progress.show("")
            job = event.data
    whole = job.get("result_data")
    if isinstance(whole, str) and whole.startswith(written):
        written, rest = whole, whole[len(written) :]  # events are only a convenience, the row says what came
        _write(rest)
    if written and not written.endswith("\n"):
        _write("\n")
    return job


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def report(job: dict[str, Any], running: Running) -> int:
    """Says how the job ended; its exit status."""
    if job.get("status") == "completed":
        say(summary(job, _where(job, running)))
        return 0
    error = job.get("error") or {}
    code = error.get("code") or job.get("status")
    say(f"Job {job.get('job_id')} {job.get('status')} [{code}]: {error.get('message', 'no reason given')}")
    remedy = error.get("remedy") or _remedy(str(code))
    if remedy:
        say(remedy)
    return 1


def _where(job: dict[str, Any], running: Running) -> str:
    """Which Ollama it was, as far as known: the worker's name ends in its Ollama's number."""
    if running.simulated:
        return "the simulated Ollama"
    number = re.match(r"worker-(\d+)(-\d+)?@", str(job.get("worker")))
    if number and int(number[1]) <= len(running.ollama_hosts):
        return f"the Ollama at {running.ollama_hosts[int(number[1]) - 1]}"
    return f"the Ollama of {job.get('worker')}"


def _remedy(code: str) -> str:
    """What Ollama's client says can be done about an error of this code; "" where it says nothing."""
    from ollama_client import errors  # late: only a failure asks

    known = [errors.OllamaError]
    for error in known:
        known += error.__subclasses__()
    return next((error.remedy for error in known if error.code == code), "")


def _say_where(api: Api, running: Running, places: Places) -> None:
    documents = f"API {running.url}/api/docs, " if api.serves("/api/docs") else ""
    say(f"{documents}Flower {running.flower_url} (user admin, password in {places.flower_password})")
