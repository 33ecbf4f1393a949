"""A Postgres that is restarted or frozen while jobs come and run."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from jobs.models import Job
from ollama_client.simulator.answers import expected_text
from tests.integration.system import Worker, eventually
from tests.integration.web import SUBMIT, WebServer
from tests.simulator_process import SimulatorProcess
from tests.support.postgres import Postgres
from tests.support.valkey import Valkey

# It is Postgres alone that has a server which can be away.
pytestmark = pytest.mark.one_database

JOBS = 40
CLIENTS = 4
SLOTS = 8
TOKENS_PER_SECOND = 50
TOKENS = 20
LONG_TOKENS = 250  # of those that run meanwhile: five seconds, so that they outlast their lease
LEASE_SECONDS = 2.5
AWAY_SECONDS = 3.5
STATEMENT_SECONDS = 1.0
# Frozen, it costs a statement on a connection that is there, and then an attempt at another one.
ANSWERED_WITHIN_SECONDS = 6.0


def tokens_of(number: int) -> int:
    """How long the answer to a prompt with this number is."""
    return TOKENS if number % (JOBS // 2) >= SLOTS else LONG_TOKENS


@dataclass
class Stage:
    """A web server and a worker on a Postgres of their own."""

    postgres: Postgres
    web: WebServer
    ollama: SimulatorProcess
    worker: Worker
    refused: Counter[str] = field(default_factory=Counter)
    slowest_seconds: float = 0.0

    def submit(self, prompt: str, tokens: int) -> str:
        """A client that does as Retry-After says, until the job is taken; its id."""
        body = {"prompt": prompt, "model": "alpha", "options": {"num_predict": tokens}}
        while True:
            began = time.monotonic()
            connection = self.web.connect()
            headers = {"Authorization": f"Bearer {self.web.key}", "Content-Type": "application/json"}
            connection.request("POST", SUBMIT, json.dumps(body), headers)
            answer = connection.getresponse()
            answered: dict[str, Any] = json.loads(answer.read())
            self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - began)
            if answer.status == 202:
                return str(answered["job_id"])
            assert (answer.status, answered["code"]) == (503, "database_unavailable"), answered
            self.refused[answered["code"]] += 1
            time.sleep(float(answer.headers["Retry-After"]))

    def rows(self, ids: list[str]) -> list[Job]:
        with self.web.database.reading() as session:
            return [session.get_one(Job, job_id) for job_id in ids]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder: Path = tmp_path_factory.mktemp("restarts")
    with ExitStack() as opened:
        postgres = Postgres()
        opened.callback(postgres.close)
        valkey = Valkey()
        opened.callback(valkey.close)
        valkey.start()
        url = postgres.create_database("paddock")
        speed = ("--parallel", str(SLOTS), "--tokens-per-second", str(TOKENS_PER_SECOND))
        ollama = SimulatorProcess(folder, "--models", "alpha", *speed)
        opened.callback(ollama.stop)
        patience = {
            "PADDOCK_DATABASE_STATEMENT_TIMEOUT_SECONDS": str(STATEMENT_SECONDS),
            "PADDOCK_DATABASE_CONNECT_TIMEOUT_SECONDS": "2",
        }
        web = WebServer(folder, url, valkey.url, **patience)
        opened.callback(web.close)
        log = folder / "worker.log"
        settings = {"DATABASE_URL": url, "REDIS_URL": valkey.url, "PADDOCK_LEASE_SECONDS": str(LEASE_SECONDS)}
        worker = Worker(ollama, log, slots=SLOTS, **settings)
        opened.callback(worker.stop)
        eventually(lambda: "Started consuming" in worker.log(), within=30)
        yield Stage(postgres, web, ollama, worker)


def restart(stage: Stage) -> None:
    """For a moment, and for longer than a lease."""
    for away_seconds in (0.0, AWAY_SECONDS):
        stage.postgres.stop()
        time.sleep(away_seconds)
        stage.postgres.start()


def freeze(stage: Stage) -> None:
    """For longer than a lease, while each that asks waits for its answer."""
    with stage.postgres.frozen():
        time.sleep(AWAY_SECONDS)


def test_a_database_that_goes_and_comes(stage: Stage) -> None:
    """Each job that was taken is answered exactly, from one generation, at no cost of an attempt."""
    tokens = [tokens_of(number) for number in range(JOBS)]
    prompts = [f"survivor {number}" for number in range(JOBS)]
    half = JOBS // 2
    with ThreadPoolExecutor(CLIENTS) as pool:
        ids: list[str] = []
        for part, trouble in ((slice(half), restart), (slice(half, JOBS), freeze)):
            asked = list(zip(prompts[part], tokens[part], strict=True))
            first = [stage.submit(*each) for each in asked[:SLOTS]]
            eventually(partial(stage.ollama.started, job=first[-1]))
            submitting = [pool.submit(stage.submit, *each) for each in asked[SLOTS:]]
            trouble(stage)
            ids += [*first, *(each.result() for each in submitting)]
    eventually(lambda: all(row.completed_at for row in stage.rows(ids)), within=60, every=0.2)
    rows = stage.rows(ids)
    assert Counter((row.status, row.claim, row.attempts) for row in rows) == {("completed", 1, 0): JOBS}
    started = Counter(line["job"] for line in stage.ollama.started())
    assert {started[job_id] for job_id in ids} == {1}
    for job_id, prompt, length in zip(ids, prompts, tokens, strict=True):
        status, job = stage.web.send(stage.web.connect(), "GET", f"/api/llm/jobs/{job_id}/")
        stage.web.hang_up()
        assert (status, job["result_data"]) == (200, expected_text("generate", "alpha", prompt, length))
    assert stage.slowest_seconds < ANSWERED_WITHIN_SECONDS


def test_others_are_served_while_one_statement_is_slow(stage: Stage) -> None:
    """It ends as 503 on time; the process has one thread, so psycopg must wait as a greenlet does."""

    def ask(path: str) -> tuple[int, str, float]:
        began = time.monotonic()
        with closing(stage.web.connect()) as connection:
            status, answer = stage.web.send(connection, "GET", path)
        return status, answer.get("code", ""), time.monotonic() - began

    with stage.web.database.transaction() as connection, ThreadPoolExecutor() as pool:
        connection.execute(text("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE"))
        slow = pool.submit(ask, "/api/llm/jobs/")
        answered = 0
        while not slow.done():
            status, _, seconds = ask("/api/llm/models/")
            assert (status, seconds < STATEMENT_SECONDS / 2) == (200, True)
            answered += 1
            time.sleep(0.05)
    assert answered > 3
    assert slow.result()[:2] == (503, "database_unavailable")
    assert slow.result()[2] < STATEMENT_SECONDS + 1
