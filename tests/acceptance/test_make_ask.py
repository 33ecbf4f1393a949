"""`make ask` and `make run` as people use them: in a clone, with real processes and a simulated Ollama."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.acceptance.clone import Clone, free_ports, runs, until

EVERY_PROGRAM = {"valkey", "simulator", "web", "worker-1", "flower"}
ANSWER_SECONDS = 2.0


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """A clone whose stack was started by a first question."""
    skip_beside_a_real_ollama()
    made = Clone(tmp_path_factory.mktemp("clone"))
    first = made.ask("Why is the sky blue?")
    try:
        assert first.returncode == 0, first.stderr
        (made.folder / "first.err").write_text(first.stderr)
        (made.folder / "first.out").write_text(first.stdout)
        yield made
    finally:
        made.end()


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Clone]:
    """A clone in which nothing was started yet."""
    made = Clone(tmp_path / "clone")
    try:
        yield made
    finally:
        made.end()


def skip_beside_a_real_ollama() -> None:
    """A machine with a real Ollama can't show the simulated one; that is no failure."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", 11434)) == 0:
            pytest.skip("an Ollama answers at the default address, so none is simulated")


@pytest.fixture
def empty_ollama() -> Iterator[str]:
    """An Ollama without any model."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/api/tags" else 404)
            self.end_headers()
            self.wfile.write(b'{"models": []}')

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_fresh_clone_answers(clone: Clone) -> None:
    """The answer alone is on standard output; it says that it is simulated."""
    out, err = (clone.folder / "first.out").read_text(), (clone.folder / "first.err").read_text()
    assert out.startswith("[simulated] ")
    assert out.endswith("\n")
    assert "a simulated Ollama answers instead" in err
    assert "on the simulated Ollama" in err
    assert "tokens/s" in err
    assert "It stays up; `make stop` ends it." in err
    assert clone.url in err
    assert f"http://127.0.0.1:{clone.flower_port}" in err
    assert set(clone.pids()) == EVERY_PROGRAM


def test_secrets_are_in_files_that_only_their_owner_reads(clone: Clone) -> None:
    """Neither the key nor Flower's password is on any command line."""
    listed = subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True, check=True).stdout
    for name in ("admin.key", "flower.password", "flower_configuration.py"):
        assert (clone.var / name).stat().st_mode & 0o777 == 0o600
    for name in ("admin.key", "flower.password"):
        assert (clone.var / name).read_text().strip() not in listed
    assert "admin.key" in (clone.folder / "first.err").read_text()


def test_asked_again_it_answers_soon(clone: Clone) -> None:
    """Two seconds on top of the generation, at most."""
    began = time.monotonic()
    done = clone.ask("And at night?")
    seconds = time.monotonic() - began
    assert done.returncode == 0, done.stderr
    assert "Starting" not in done.stderr
    newest = clone.get("/api/llm/jobs/?limit=1")["jobs"][0]
    assert seconds - newest["processing_time"] < ANSWER_SECONDS


def test_a_prompt_reaches_the_job_byte_for_byte(clone: Clone) -> None:
    """From make's command line to the row."""
    prompt = 'it\'s "$HOME" `x` $(shell echo y) # z \\n\n🦙'
    done = clone.ask(prompt)
    assert done.returncode == 0, done.stderr
    newest = clone.get("/api/llm/jobs/?limit=1")["jobs"][0]["job_id"]
    assert clone.get(f"/api/llm/jobs/{newest}/")["input"]["prompt"] == prompt


def test_the_model_may_be_chosen(clone: Clone) -> None:
    """An unknown one is refused with the API's reason."""
    assert "qwen2.5:0.5b on the simulated Ollama" in clone.ask("x", MODEL="qwen2.5:0.5b").stderr
    refused = clone.ask("x", MODEL="no-such-model")
    assert refused.returncode != 0
    assert "no-such-model" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("prompt", ["", "  \n"])
def test_nothing_to_ask_is_one_line_with_the_usage(clone: Clone, prompt: str) -> None:
    """Missing, empty or blank."""
    done = clone.ask(prompt)
    assert done.returncode == 2
    assert 'Usage: make ask PROMPT="Why is the sky blue?"' in done.stderr.splitlines()[0]


def test_a_terminal_without_utf_8_is_no_hindrance(clone: Clone) -> None:
    """What it can't show becomes a question mark."""
    done = clone.ask("Say 🦙", PYTHONIOENCODING="ascii", LC_ALL="C")
    assert done.returncode == 0, done.stderr


def test_another_port_is_told_that_the_stack_is_already_up(clone: Clone) -> None:
    """The question is answered all the same."""
    done = clone.ask("x", PORT=str(free_ports(1)[0]))
    assert done.returncode == 0, done.stderr
    assert f"already up at {clone.url}" in done.stderr


def test_a_second_stack_in_the_folder_is_refused(clone: Clone) -> None:
    """`make run` says that its own stack is up, not that a port is taken."""
    done = clone.make("run")
    assert done.returncode == 2
    assert "already up" in done.stderr


def test_ctrl_c_leaves_the_job_and_tells_its_id(clone: Clone) -> None:
    """The job is the queue's; only the waiting for it ends."""
    os.kill(clone.pids()["worker-1"], signal.SIGSTOP)
    try:
        asking = clone.make_in_foreground("ask", "PROMPT=Take your time")
        assert asking.stdout is not None
        with asking.stdout as said:
            assert "Waiting" in said.readline()
            os.killpg(asking.pid, signal.SIGINT)
            rest = said.read()
        asking.wait(30)
    finally:
        os.kill(clone.pids()["worker-1"], signal.SIGCONT)
    job_id = clone.get("/api/llm/jobs/?limit=1")["jobs"][0]["job_id"]
    assert f"Left running: job {job_id}" in rest
    assert "Traceback" not in rest
    assert clone.get(f"/api/llm/jobs/{job_id}/status/?wait=20")["status"] == "completed"


def test_every_process_that_is_killed_is_back_and_answers(clone: Clone) -> None:
    """All of them at once, and then a question."""
    before = clone.pids()
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    until(
        lambda: all(pid != before[name] and runs(pid) for name, pid in clone.pids().items()),
        "every process has been started again",
    )
    done = clone.ask("Are you back?")
    assert done.returncode == 0, done.stderr


def test_after_the_runner_was_killed_the_next_question_starts_it_again(clone: Clone) -> None:
    """What it left behind is ended first; nobody fights for the port, and the key is the same one."""
    before, key = clone.pids(), (clone.var / "admin.key").read_text()
    clone.kill_runner()
    done = clone.ask("And now?")
    assert done.returncode == 0, done.stderr
    assert "left behind by an earlier run" in done.stderr
    assert not any(runs(pid) for pid in before.values())
    assert (clone.var / "admin.key").read_text() == key


def test_a_second_start_finds_the_data_of_the_first(clone: Clone) -> None:
    """Stopped and started again, the first question's job is still there."""
    count = len(clone.get("/api/llm/jobs/?limit=100")["jobs"])
    assert "Stopped." in clone.make("stop").stderr
    assert "Nothing runs in this folder." in clone.make("stop").stderr
    assert clone.ask("Still there?").returncode == 0
    assert len(clone.get("/api/llm/jobs/?limit=100")["jobs"]) == count + 1


def test_a_taken_port_is_told_in_one_line(other: Clone) -> None:
    """With the variable that chooses another; nothing was started."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", other.port))
        taken.listen()
        done = other.ask("x")
    assert done.returncode == 2
    assert f"PORT={other.port} is taken by another program" in done.stderr
    assert other.pids() == {}


def test_an_ollama_without_a_model_is_told_how_to_get_one(other: Clone, empty_ollama: str) -> None:
    """Never a silent simulation."""
    done = other.ask("x", OLLAMA_HOST=empty_ollama)
    assert done.returncode == 2
    assert "ollama pull llama3.2:1b" in done.stderr
    assert other.pids() == {}


def test_a_wrong_setting_is_told_in_one_line(other: Clone) -> None:
    """Variable, value, and what is allowed."""
    done = other.ask("x", PADDOCK_CONCURRENCY="many")
    assert done.returncode == 2
    assert done.stderr.startswith("PADDOCK_CONCURRENCY=many is not possible: allowed is ")


def test_run_shows_the_stack_until_ctrl_c(other: Clone) -> None:
    """It waits for a configured Ollama that is down, tells of a process that died, and ends all of them."""
    (nobody,) = free_ports(1)
    running = other.make_in_foreground("run", OLLAMA_HOST=f"127.0.0.1:{nobody}")
    assert running.stdout is not None
    said = []
    try:
        for line in running.stdout:
            said.append(line)
            if "Ctrl-C ends it" in line:
                break
        text = "".join(said)
        assert "jobs wait until it does" in text
        assert other.url in text
        pids = other.pids()
        assert set(pids) == EVERY_PROGRAM - {"simulator"}
        until(lambda: all(map(runs, pids.values())), "everything runs")
        time.sleep(1)  # the watch has seen each one
        os.kill(pids["web"], signal.SIGKILL)
        assert "web ended and was started again" in running.stdout.readline()
        pids = other.pids()
        os.killpg(running.pid, signal.SIGINT)
        rest = running.stdout.read()
        assert "Stopped." in rest
        running.wait(60)
        assert not any(map(runs, pids.values()))
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        running.stdout.close()


def test_a_start_that_is_interrupted_leaves_nothing(other: Clone) -> None:
    """Ctrl-C while it still starts."""
    (nobody,) = free_ports(1)
    running = other.make_in_foreground("run", OLLAMA_HOST=f"127.0.0.1:{nobody}")
    assert running.stdout is not None
    with running.stdout as said:
        assert "jobs wait until it does" in said.readline()
        until(lambda: "web" in other.pids(), "the web process was started")
        os.killpg(running.pid, signal.SIGINT)
        rest = said.read()
    assert running.wait(60) != 0
    assert "Traceback" not in rest
    assert not any(map(runs, other.pids().values()))
