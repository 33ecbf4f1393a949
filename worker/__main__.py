"""
`python -m worker`: one Celery worker with Paddock's options, for one Ollama.

Further arguments go to Celery, such as `--hostname`.
"""

import gc
import os
import socket
import sys

from settings import get_settings


def celery_arguments(extra: list[str]) -> list[str]:
    """The command line after `celery -A worker worker`."""
    settings = get_settings()
    arguments = ["--pool", "prefork"]
    arguments += ["--concurrency", str(settings.concurrency), "--without-gossip", "--without-mingle"]
    arguments += ["--task-events", "--loglevel", "INFO", "--queues", "celery"]
    if not any(argument.startswith(("--hostname", "-n")) for argument in extra):
        arguments += ["--hostname", f"paddock-{os.getpid()}@{socket.gethostname()}"]
    return [*arguments, *extra]


def main(extra: list[str]) -> None:
    """
    Be `celery -A worker worker`, in half the time.

    Celery's own entry point also loads its other commands, and with them Flower and a shell.
    """
    gc.disable()  # all that is loaded now stays; enabled again before the first child is forked
    from celery.bin.base import CLIContext
    from celery.bin.worker import worker as command

    from worker.celery_app import app

    sys.argv[:] = ["-m", "worker", *extra]  # what Celery runs again at a SIGHUP
    command.main(
        celery_arguments(extra),
        prog_name="worker",
        obj=CLIContext(app=app, no_color=False, workdir=None),
        auto_envvar_prefix="CELERY_WORKER",
    )


if __name__ == "__main__":
    main(sys.argv[1:])
