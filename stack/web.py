"""gunicorn's configuration, for the local stack and for production: `gunicorn -c python:stack.web`."""

# First of all: gunicorn itself would patch only after the settings have imported what is to be patched.
from gevent import monkey

monkey.patch_all()

import gc  # noqa: E402 - any import but gevent's

gc.disable()  # until the application is there: a fifth of its start would be looking for garbage

from jobs.schema import end_if_newer  # noqa: E402
from settings import get_settings  # noqa: E402
from stack.one_write import write_at_once  # noqa: E402

_settings = get_settings()

bind = (
    f"[{_settings.host}]:{_settings.port}" if ":" in _settings.host else f"{_settings.host}:{_settings.port}"
)
# One gevent process holds 2,000 open streams (measured); a second one helps with submits alone.
worker_class = "gevent"
workers = 1
worker_connections = 4000
# A request may wait for its job; only a process that stopped answering its parent is replaced.
timeout = 60
# Above the two seconds after which pollers ask again, and the minute that proxies keep a connection: with
# gunicorn's own two seconds a question may meet the close of its connection, and fail.
keepalive = 75
# Open streams resume at the next process by their last event's id, so a stop need not wait for them long.
graceful_timeout = 8
# It would be put into the home folder, and two stacks on one machine would share it.
control_socket_disable = True


def on_starting(_server: object) -> None:
    """In the parent: a child that ends at its start is started again and again."""
    end_if_newer(_settings.database_url)


def when_ready(_server: object) -> None:
    """In the parent: what it has loaded stays."""
    gc.freeze()
    gc.enable()


def post_fork(_server: object, _worker: object) -> None:
    """The application is loaded now."""
    gc.disable()


def post_worker_init(_worker: object) -> None:
    """Answers in one write; and the application stays: the garbage collector need not look at it again."""
    write_at_once()
    gc.collect()
    gc.freeze()
    gc.enable()
