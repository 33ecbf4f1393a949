"""
Importing this is what turns a process into a worker: it registers the boot steps and the way a task runs.

`tasks` alone only submits.
"""

import atexit
import gc
import logging
from typing import Any

from celery.signals import celeryd_after_setup, celeryd_init

from jobs.schema import end_if_newer
from settings import get_settings
from tasks import app
from tasks.job_task import JobTask
from tasks.resources import pool_connections
from tasks.taken_messages import transport_options
from worker import bootsteps, child, consumer, drain, execution, revoking, task_events, turns


def _refuse_newer_database(**_: object) -> None:
    end_if_newer(get_settings().database_url)


def _note_what_is_taken(sender: str, conf: Any, **_: object) -> None:
    """Under keys of this worker alone; `sender` is its name."""
    conf.broker_transport_options = {**conf.broker_transport_options, **transport_options(sender)}


def _freeze_garbage(**_: object) -> None:
    """Celery collects garbage before it forks each child; what was loaded until now is none."""
    gc.freeze()
    gc.enable()  # `worker.__main__` had it wait


pool_connections(False)  # the prefork parent; each child pools for itself
JobTask.runner = execution.run_job
app.steps["worker"].add(bootsteps.KeeperStep)
app.steps["worker"].add(drain.DrainStep)
app.steps["consumer"].add(bootsteps.QueueStep)
app.steps["consumer"].add(turns.TurnStep)
app.steps["consumer"].add(task_events.TaskEventsStep)
app.conf.worker_consumer = "worker.consumer:Consumer"
consumer.refuse_closed_channels()
consumer.watch_children_anew()
child.connect_signals()
# Before anything is forked.
celeryd_init.connect(_refuse_newer_database, weak=False)
celeryd_init.connect(_note_what_is_taken, weak=False)
celeryd_init.connect(bootsteps.start_early, weak=False)
celeryd_after_setup.connect(_freeze_garbage, weak=False)
# "Task received" is written before the task is handed to a child, in the way of its first token.
logging.getLogger("celery.worker.strategy").setLevel(logging.WARNING)
revoking.install()
# An interpreter that ends collects its garbage first: half a second, while somebody waits for the end.
atexit.register(gc.freeze)

__all__ = ["app"]
