"""The main job on the stack as people start it: a thousand jobs, no prompt where none belongs, and kills."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import pytest
import redis
import requests

from ollama_client.simulator.answers import expected_text
from tests.acceptance.clone import Clone, until
from tests.integration.system import all_text
from tests.simulator_process import SimulatorProcess, start_simulator

SECRET = "zyxquarkword"  # occurs in prompts only
SLOTS = 4
TOKENS = 5
GENERATE, EMBED = "alpha", "gamma"
ALL_DONE_SECONDS = 240.0

# Runs in the clone, with its settings: `.delay()` as a user's own code would.
DELAY = """
import json, sys
from tasks import chat, embed, generate

for number in range(int(sys.argv[1]), int(sys.argv[2])):
    prompt = f"{sys.argv[3]} by delay {number}"
    if number % 3 == 0:
        result = generate.delay(prompt, model="alpha")
    elif number % 3 == 1:
        result = chat.delay([{"role": "user", "content": prompt}], model="alpha")
    else:
        result = embed.delay(prompt, model="gamma")
    print(json.dumps([result.id, prompt]))
"""


@pytest.fixture(scope="module")
def ollama() -> Iterator[SimulatorProcess]:
    options = ("--models", "alpha,gamma=embedding", "--parallel", str(SLOTS), "--tokens", str(TOKENS))
    with start_simulator(*options) as process:
        yield process


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, ollama: SimulatorProcess) -> Iterator["Stack"]:
    running = Stack(Clone(tmp_path_factory.mktemp("clone")), ollama)
    try:
        yield running
    finally:
        running.clone.end()


class Stack:
    """A clone's stack beside a simulated Ollama whose log the tests read."""

    def __init__(self, clone: Clone, ollama: SimulatorProcess) -> None:
        self.clone = clone
        self.variables = {"PADDOCK_OLLAMA_HOST": ollama.url, "PADDOCK_CONCURRENCY": str(SLOTS)}
        started = clone.ask("warm up", **self.variables)
        assert started.returncode == 0, started.stderr
        self.key = (clone.var / "admin.key").read_text().strip()

    def submit(self, body: dict[str, Any]) -> str:
        response = requests.post(
            f"{self.clone.url}/api/llm/jobs/submit/",
            json=body,
            headers={"Authorization": f"Bearer {self.key}"},
            timeout=30,
        )
        assert response.status_code == 202, response.text
        return str(response.json()["job_id"])

    def delay(self, first: int, end: int) -> dict[str, str]:
        """Prompts by job id."""
        ran = subprocess.run(
            [sys.executable, "-c", DELAY, str(first), str(end), SECRET],
            cwd=self.clone.folder,
            env=self.clone.environment(**self.variables),
            capture_output=True,
            text=True,
            check=True,
        )
        return dict(json.loads(line) for line in ran.stdout.splitlines())

    def jobs(self, **filters: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        query = "&".join(f"{name}={value}" for name, value in filters.items())
        cursor = ""
        while True:
            page = self.clone.get(f"/api/llm/jobs/?limit=200&{query}{cursor}")
            found += page["jobs"]
            if page["next_cursor"] is None:
                return found
            cursor = f"&cursor={page['next_cursor']}"

    def wait_until_done(self, expected: int) -> None:
        def is_done() -> bool:
            return len(self.jobs(status="completed")) >= expected

        until(is_done, f"{expected} jobs completed", ALL_DONE_SECONDS)


def rest_body(number: int) -> dict[str, Any]:
    prompt = f"{SECRET} by rest {number}"
    return [
        {"prompt": prompt, "model": GENERATE},
        {"messages": [{"role": "user", "content": prompt}], "model": GENERATE, "priority": "high"},
        {"input": prompt, "model": EMBED, "priority": 9},
    ][number % 3]


def check_answer(job: dict[str, Any], prompt: str) -> None:
    """A text is the one that the model gives for this prompt; an embedding has its one vector."""
    if job["kind"] == "generate":
        assert job["result_data"] == expected_text("generate", GENERATE, prompt, TOKENS)
    elif job["kind"] == "chat":
        messages = [{"role": "user", "content": prompt}]
        assert job["result_data"]["content"] == expected_text("chat", GENERATE, messages, TOKENS)
    else:
        assert len(job["result_data"]) == 1


def test_a_thousand_jobs_are_each_generated_once(stack: Stack, ollama: SimulatorProcess) -> None:
    """REST and `.delay()` at once, mixed kinds, four slots: all complete with their own answers."""
    before = len(stack.jobs(status="completed"))
    prompts: dict[str, str] = {}
    numbers = count()
    with ThreadPoolExecutor(8) as pool:
        delayed = [pool.submit(stack.delay, start, start + 250) for start in (0, 250)]
        bodies = [rest_body(next(numbers)) for _ in range(500)]
        for number, job_id in enumerate(pool.map(stack.submit, bodies)):
            prompts[job_id] = f"{SECRET} by rest {number}"
        for future in delayed:
            prompts |= future.result()
    assert len(prompts) == 1000
    stack.wait_until_done(before + 1000)
    for job in stack.jobs(status="completed"):
        if job["job_id"] in prompts:
            check_answer(job, prompts.pop(job["job_id"]))
    assert prompts == {}
    for event, served in (("start", ollama.started()), ("end", ollama.ended(outcome="done"))):
        times = Counter(entry["job"] for entry in served if entry["job"])
        assert {job: often for job, often in times.items() if often != 1} == {}, event
        assert len(times) == before + 1000


def test_prompts_are_in_no_key_no_log_and_not_in_flower(stack: Stack) -> None:
    """A word that occurs only in prompts is found nowhere but in the database."""
    client = redis.Redis(unix_socket_path=str(stack.clone.var / "valkey.sock"), decode_responses=True)
    assert SECRET not in all_text(client)
    client.close()
    files = [path for path in (stack.clone.var / "log").rglob("*") if path.is_file()]
    logs = "".join(path.read_text(errors="replace") for path in files)
    assert "tasks.generate" in logs
    assert SECRET not in logs
    password = (stack.clone.var / "flower.password").read_text().strip()
    flower = f"http://127.0.0.1:{stack.clone.flower_port}"
    pages = [
        requests.get(flower + path, auth=("admin", password), timeout=30)
        for path in ("/api/tasks?limit=2000", "/api/workers?refresh=true", "/api/queues/length", "/tasks")
    ]
    assert [page.status_code for page in pages] == [200] * len(pages)
    assert "tasks.generate" in pages[0].text
    assert all(SECRET not in page.text for page in pages)
    assert requests.get(f"{flower}/api/tasks", timeout=30).status_code == 401


@pytest.mark.parametrize("program", ["worker-1", "valkey"])
def test_kills_lose_no_job(stack: Stack, ollama: SimulatorProcess, program: str) -> None:
    """kill -9 in the middle of 50 jobs: all 50 complete without anyone's help."""
    ollama.control(tokens_per_second=100)
    try:
        before = len(stack.jobs(status="completed"))
        body = {"model": GENERATE, "options": {"num_predict": 20}}
        for number in range(50):
            stack.submit({**body, "prompt": f"{program} {number}"})
        until(lambda: len(stack.jobs(status="completed")) > before + 5, "some of the jobs completed")
        os.kill(stack.clone.pids()[program], signal.SIGKILL)
        stack.wait_until_done(before + 50)
    finally:
        ollama.control(tokens_per_second=0)
