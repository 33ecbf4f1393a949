"""
The prefork parent's own work: it keeps the keeper running, and consumes the queues of its Ollama's models.

No thread and no SQL here: both would end up inside the children that it forks.
"""

import logging
import subprocess
from typing import Any

import redis
from celery import bootsteps

from jobs.workers import WORKERS_KEY, WorkerReport
from settings import get_settings
from tasks.queue_lists import QUEUE_PREFIX, queue_name
from tasks.resources import connect_redis
from tasks.taken_messages import give_back
from worker.keeper_process import KeeperProcess, start_first_keeper, start_keeper

WATCH_SECONDS = 1.0
QUEUES_SECONDS = 0.2  # a worker that starts has nothing to do before its keeper's first report
KEEPER_END_SECONDS = 5.0
log = logging.getLogger(__name__)


def start_early(sender: str, instance: Any, **_: object) -> None:
    """Let the keeper of the worker `sender` look at its Ollama while the worker gets ready."""
    instance.keeper_process = start_first_keeper(sender)


class KeeperStep(bootsteps.StartStopStep):
    """Runs the keeper beside this worker, and again whenever it ends."""

    requires = {"celery.worker.components:Timer"}

    def __init__(self, parent: Any, **kwargs: Any) -> None:
        super().__init__(parent, **kwargs)
        self._process: KeeperProcess = parent.keeper_process
        self._timer: Any = None

    def start(self, parent: Any) -> None:
        self._worker = parent.hostname
        self._timer = parent.timer.call_repeatedly(WATCH_SECONDS, self._watch)

    def _watch(self) -> None:
        if self._process.poll() is None:
            return
        log.warning("the keeper ended with status %s; starting it again", self._process.returncode)
        self._process = start_keeper(self._worker)

    def stop(self, parent: Any) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._process.terminate()
        try:
            self._process.wait(KEEPER_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()

    terminate = stop


class QueueStep(bootsteps.StartStopStep):
    """Consumes the queue of each model that the keeper reports for this worker's Ollama."""

    requires = {"celery.worker.consumer.tasks:Tasks"}

    def __init__(self, parent: Any, **kwargs: Any) -> None:
        super().__init__(parent, **kwargs)
        self._settings = get_settings()
        self._redis = connect_redis(self._settings, timeout_seconds=1.0)
        self._timer: Any = None
        self._is_new = True

    def start(self, parent: Any) -> None:
        self._give_back(parent.hostname)
        self._watch(parent)
        self._timer = parent.timer.call_repeatedly(QUEUES_SECONDS, self._watch, (parent,))

    def stop(self, parent: Any) -> None:
        if self._timer is not None:
            self._timer.cancel()

    terminate = shutdown = stop

    def _give_back(self, worker: str) -> None:
        """Once: what a process of the same name left behind, should its keeper have ended with it."""
        try:
            if self._is_new:
                give_back(self._redis, worker, ageing_seconds=self._settings.ageing_seconds)
                self._is_new = False
        except (redis.RedisError, OSError):
            return  # the consumer itself notices and reconnects, which starts this step again

    def _watch(self, consumer: Any) -> None:
        try:
            text = self._redis.hget(WORKERS_KEY, consumer.hostname)
        except (redis.RedisError, OSError):
            return  # the consumer itself notices and reconnects
        if text is None:
            return
        wanted = {queue_name(model.name) for model in WorkerReport.from_json(str(text)).models}
        current = {name for name in consumer.app.amqp.queues.consume_from if name.startswith(QUEUE_PREFIX)}
        for name in sorted(wanted - current):
            consumer.add_task_queue(name)
        for name in sorted(current - wanted):
            consumer.cancel_task_queue(name)
