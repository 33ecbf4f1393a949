"""The examples of docs/ on a running stack, to which docs/extending.md has added what it shows."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from ollama_client.simulator.answers import expected_text
from settings import ROOT
from tests.acceptance.clone import Clone, free_ports, until
from tests.simulator_process import start_simulator
from tests.support.documents import blocks, document, files, section

MODEL = "alpha"
TOKENS = 5
EXAMPLES_SECONDS = 120.0

FOREIGN_TASKS = """
from celery import Celery

app = Celery("theirs")


@app.task
def generate(numbers):
    return sum(numbers)
"""

# A browser's document as far as the page's script uses one.
BROWSER = """
const elements = {};
const element = () => ({
  value: "",
  append() {},
  prepend() {},
  addEventListener(_, then) { this.then = then; },
});
globalThis.document = {
  getElementById: (name) => (elements[name] ??= element()),
  createElement: (name) => (elements[name] = element()),
};
const plainFetch = globalThis.fetch;
globalThis.fetch = (path, options) => plainFetch(process.env.ORIGIN + path, options);
"""
PRESS = """
elements.key = { ...element(), value: process.env.PADDOCK_API_KEY };
elements.prompt = { ...element(), value: "Why?" };
await elements.ask.then({ preventDefault() {} });
console.log(elements.p.textContent);
"""


class Stack:
    """A clone's stack, and the environment in which its examples run."""

    def __init__(self, clone: Clone) -> None:
        self.clone = clone
        self.key = (clone.var / "admin.key").read_text().strip()
        self.variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(clone.folder),
            "CURL_HOME": str(clone.folder),  # its .curlrc makes curl fail at an error's status
            "PADDOCK_URL": clone.url,
            "PADDOCK_API_KEY": self.key,
            "PADDOCK_BROKER": f"redis+socket://{clone.var / 'valkey.sock'}",
        }

    def run(self, *command: str, code: str = "", cwd: Path | None = None, **variables: str) -> str:
        """What a program prints that reads `code` from its standard input."""
        ran = subprocess.run(
            command,
            input=code,
            cwd=cwd or self.clone.folder / "docs",  # Paddock's own packages are not on its path
            env={**self.variables, **variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=EXAMPLES_SECONDS,
        )
        assert ran.returncode == 0, f"{ran.stderr}\n{ran.stdout[-2000:]}"
        return ran.stdout

    def cancel_all(self) -> None:
        """End what examples left running, so that stopping need not wait."""
        headers = {"Authorization": f"Bearer {self.key}"}
        for status in ("pending", "processing"):
            for job in self.clone.get(f"/api/llm/jobs/?status={status}")["jobs"]:
                requests.post(self.clone.url + job["urls"]["cancel"], headers=headers, timeout=30)


def extend(folder: Path) -> None:
    """Do what docs/extending.md says."""
    for path, content in files(document("extending.md")).items():
        (folder / path).write_text(content, encoding="utf-8")
    names = folder / "api" / "__init__.py"
    source = names.read_text(encoding="utf-8")
    source = re.sub(r"^from api import (\(?)", r"from api import \1pending, ", source, flags=re.MULTILINE)
    names.write_text(source.replace("for routes in (", "for routes in (pending, "), encoding="utf-8")
    include = folder / "tasks" / "celery_app.py"
    source = include.read_text(encoding="utf-8")
    include.write_text(source.replace("include=[", 'include=["tasks.summarise", '), encoding="utf-8")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    models = f"{MODEL},all-minilm"
    options = ("--models", models, "--parallel", "8", "--tokens", str(TOKENS), "--tokens-per-second", "50")
    clone = Clone(tmp_path_factory.mktemp("clone"))
    extend(clone.folder)
    (clone.folder / ".curlrc").write_text("fail-with-body\n", encoding="utf-8")
    with start_simulator(*options) as ollama:
        started = clone.ask("warm up", PADDOCK_OLLAMA_HOST=ollama.url, PADDOCK_CONCURRENCY="8")
        try:
            assert started.returncode == 0, started.stderr
            running = Stack(clone)
            yield running
            running.cancel_all()
        finally:
            clone.end()


def node() -> str:
    """Node, which nothing else here needs."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("no node on this machine: the JavaScript examples are not run")
    return found


def test_every_curl_example_of_the_api_works(stack: Stack) -> None:
    """One after the other in a POSIX shell; an error's status ends it."""
    printed = stack.run("sh", "-eu", code="\n".join(blocks(document("api.md"), "sh")))
    assert expected_text("generate", MODEL, "Why is the sky blue?", TOKENS) in printed


def test_every_python_example_of_the_api_works(stack: Stack) -> None:
    """One after the other in one process with nothing but requests."""
    code = "\n".join(blocks(document("api.md"), "python"))
    printed = stack.run(sys.executable, "-W", "error::SyntaxWarning", "-", code=code)
    assert expected_text("generate", MODEL, "Why is the sky blue?", TOKENS) in printed


def test_every_javascript_example_of_the_api_works(stack: Stack) -> None:
    """One after the other as one module."""
    code = "\n".join(blocks(document("api.md"), "js"))
    printed = stack.run(node(), "--input-type=module", "-", code=code)
    assert expected_text("generate", MODEL, "Why is the sky blue?", TOKENS) in printed


def recipe(client: str, language: str) -> str:
    """What docs/clients.md shows for a client, with a model that the stack has."""
    return "\n".join(blocks(section(document("clients.md"), f"## {client}"), language)).replace(
        "llama3.2:1b", MODEL
    )


@pytest.mark.parametrize("client", ["ollama", "openai"])
def test_the_recipe_for_an_official_package_works(stack: Stack, client: str) -> None:
    """In one piece, streaming, the job again, and its end when the client leaves."""
    printed = stack.run(sys.executable, "-", code=recipe(client, "python"))
    question = "Why is the sky blue?"
    assert expected_text("chat", MODEL, [{"role": "user", "content": question}], TOKENS) in printed
    assert f"completed {TOKENS}" in printed
    assert "cancelled" in printed.splitlines()


def test_the_recipe_for_curl_works(stack: Stack) -> None:
    """One that gives up gets its job's answer by asking again."""
    printed = stack.run("sh", "-eu", code=recipe("curl", "sh"))
    assert expected_text("generate", MODEL, "Why is the sky blue?", TOKENS) in printed
    _, came_back = printed.split("gone\n")
    assert json.loads(came_back)["eval_count"] == 40


def test_a_connection_outlives_the_pause_between_two_polls(stack: Stack) -> None:
    """A client that asks every two seconds does not meet the close of its connection."""
    line = HTTPConnection(urlsplit(stack.clone.url).netloc, timeout=30)
    line.connect()
    line.auto_open = 0  # a connection that was closed is an error instead of a new one
    for pause_seconds in (0, 2.5):
        time.sleep(pause_seconds)
        line.request("GET", "/healthz")
        assert line.getresponse().read()
    line.close()


def test_the_commands_for_keys_work(stack: Stack) -> None:
    """As docs/api.md writes them, on the stack's database."""
    console = "\n".join(blocks(document("api.md"), "console"))
    commands = re.findall(r"^\$ flask (.*)$", console, re.MULTILINE)
    assert len(commands) == 4
    for command in commands:
        ran = subprocess.run(
            [sys.executable, "-m", "flask", *command.replace("ci", "ci-by-hand").split()],
            cwd=stack.clone.folder,
            env=stack.clone.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr


def test_a_process_with_its_own_tasks_py_submits_by_name(stack: Stack, tmp_path: Path) -> None:
    """It has Celery, the broker's address and REST, and none of our packages; its answer comes back."""
    (tmp_path / "tasks.py").write_text(FOREIGN_TASKS, encoding="utf-8")
    first, second, _ = blocks(document("celery.md"), "python")
    check = "import tasks\nassert tasks.app.main == 'theirs'\n"
    (tmp_path / "ask.py").write_text(check + first + second, encoding="utf-8")
    printed = stack.run(sys.executable, "ask.py", cwd=tmp_path)
    answer = expected_text("generate", MODEL, "Why is the sky blue?", TOKENS)
    job_id, text = printed.split("\n", 1)
    assert text.strip() == answer
    job = stack.clone.get(f"/api/llm/jobs/{job_id}/")
    assert (job["priority"], job["input"]["options"]) == (5, {"temperature": 0.1})


def test_what_a_foreign_process_names_is_kept(stack: Stack, tmp_path: Path) -> None:
    """A priority, but 0 counts as none; an owner; and a group and a chain without a result backend."""
    code = """
import os, sys
from celery import Celery, chain, group
app = Celery(broker=os.environ["PADDOCK_BROKER"])
ask = lambda prompt: app.signature("tasks.generate", args=[prompt])
for priority in (0, 1, 8):
    print(app.send_task("tasks.generate", ["a"], priority=priority, headers={"key_id": sys.argv[1]}).id)
print(*[member.id for member in group(ask("b"), ask("c")).apply_async().results])
print(chain(ask("d"), app.signature("tasks.generate")).apply_async().id)
"""
    issued = requests.post(
        f"{stack.clone.url}/api/admin/keys/",
        json={"name": "theirs"},
        headers={"Authorization": f"Bearer {stack.key}"},
        timeout=30,
    ).json()
    printed = stack.run(sys.executable, "-", issued["key_id"], code=code, cwd=tmp_path).splitlines()
    headers = {"Authorization": f"Bearer {issued['key']}"}

    def own() -> dict[str, int]:
        jobs = requests.get(f"{stack.clone.url}/api/llm/jobs/", headers=headers, timeout=30).json()["jobs"]
        return {job["job_id"]: job["priority"] for job in jobs}

    until(lambda: len(own()) == 3, "three jobs are taken in")
    assert [own()[job_id] for job_id in printed[:3]] == [5, 1, 8]
    others = [*printed[3].split(), printed[4]]
    done = "/api/ollama_models/job_status?job_id="
    until(
        lambda: all(stack.clone.get(done + job_id)["state"] == "done" for job_id in others),
        "group and chain are done",
    )
    handed_on = expected_text("generate", MODEL, "d", TOKENS)
    answers = [stack.clone.get(done + job_id)["data"] for job_id in others]
    assert answers == [expected_text("generate", MODEL, prompt, TOKENS) for prompt in ("b", "c", handed_on)]


def in_the_folder(stack: Stack, code: str) -> str:
    """What Python prints in Paddock's own folder, with the stack's settings."""
    environment = stack.clone.environment()
    return stack.run(sys.executable, "-c", code, cwd=stack.clone.folder, **environment)


def test_in_paddock_s_folder_get_returns_the_answer(stack: Stack) -> None:
    """`.delay()` and `.get()` as docs/celery.md shows them."""
    printed = in_the_folder(stack, blocks(document("celery.md"), "python")[2])
    assert printed.strip() == expected_text("generate", MODEL, "Why is the sky blue?", TOKENS)


def test_the_added_route_task_and_service_answer(stack: Stack) -> None:
    """What docs/extending.md adds runs on the stack like what was there."""
    assert stack.clone.get("/api/llm/pending/")["pending"] >= 0
    added = {"/api/llm/pending/", "/api/llm/services/meeting-notes/"}
    assert added <= set(stack.clone.get("/api/openapi.json")["paths"])
    document_text = document("extending.md")
    console = "\n".join(blocks(document_text, "console"))
    lines = re.findall(r"^>>> (.*)$", console, re.MULTILINE)
    imports = [line for line in lines if line.startswith("from")]
    calls = [line for line in lines if not line.startswith("from")]
    code = "\n".join([*imports, "import json", f"print(json.dumps([{', '.join(calls)}]))"])
    summary, notes = json.loads(in_the_folder(stack, code))
    assert summary == expected_text("generate", MODEL, "Summarise in 2 sentences:\n\nA long text …", TOKENS)
    assert set(json.loads(notes)) <= {"decisions", "tasks"}
    (curl,) = re.findall(r"^\$ (curl(?:.*\\\n)*.*)$", console, re.MULTILINE)
    submitted = stack.run(
        "sh", "-eu", code=curl.replace("http://127.0.0.1:8000", "$PADDOCK_URL"), KEY=stack.key
    )
    assert json.loads(submitted)["service"] == "meeting-notes"


def test_the_added_tests_pass(stack: Stack) -> None:
    """docs/extending.md's own tests, and ruff on all its files."""
    shown = files(document("extending.md"))
    added = [path for path in shown if path.startswith("tests/")]
    assert len(added) == 2
    for command in (["pytest", *added], ["ruff", "check", *shown]):
        ran = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=stack.clone.folder,
            env=stack.clone.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.fixture
def origin(stack: Stack) -> Iterator[str]:
    """Where docs/examples/serve.py serves page and API."""
    (port,) = free_ports(1)
    command = [sys.executable, str(ROOT / "docs" / "examples" / "serve.py"), str(port)]
    with subprocess.Popen(
        command, env=stack.variables, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        try:
            assert server.stdout
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


def test_the_example_page_is_served_beside_the_api(origin: str, stack: Stack) -> None:
    """One origin has the page and Paddock's answers, errors among them."""
    page = requests.get(origin, timeout=30)
    assert page.text == document("examples/ask.html")
    headers = {"Authorization": f"Bearer {stack.key}"}
    submitted = requests.post(
        f"{origin}/api/ollama_models/query", json={"prompt": "Why?"}, headers=headers, timeout=30
    )
    assert submitted.status_code == 202
    assert requests.get(f"{origin}/api/llm/models/", timeout=30).json()["code"] == "unauthorized"


def test_the_example_page_s_script_asks_and_shows_the_answer(origin: str, stack: Stack) -> None:
    """Its own code, with a stand-in for the browser's document."""
    (script,) = re.findall(r"<script>(.*?)</script>", document("examples/ask.html"), re.DOTALL)
    code = BROWSER + script + PRESS
    printed = stack.run(node(), "--input-type=module", "-", code=code, ORIGIN=origin)
    assert printed.strip() == expected_text("generate", MODEL, "Why?", TOKENS)
