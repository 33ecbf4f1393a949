"""
`python -m worker`: one Celery worker with Paddock's options, for one Ollama.

Further arguments go to Celery, such as `--hostname`.
"""

import os
import socket
import sys

from settings import get_settings


def celery_arguments(extra: list[str]) -> list[str]:
    """The command line after the interpreter."""
    settings = get_settings()
    arguments = ["-m", "celery", "-A", "worker", "worker", "--pool", "prefork"]
    arguments += ["--concurrency", str(settings.concurrency), "--without-gossip", "--without-mingle"]
    arguments += ["--task-events", "--loglevel", "INFO", "--queues", "celery"]
    if not any(argument.startswith(("--hostname", "-n")) for argument in extra):
        arguments += ["--hostname", f"paddock-{os.getpid()}@{socket.gethostname()}"]
    return [*arguments, *extra]


if __name__ == "__main__":
    # Exec, so that signals of a process runner reach Celery and not a wrapper.
    os.execv(sys.executable, [sys.executable, *celery_arguments(sys.argv[1:])])  # noqa: S606
