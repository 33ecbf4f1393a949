"""
The services of docker-compose.yml as plain processes: their commands, environments and health checks.

No container runs here. A folder with the files of the image stands for the image, a Postgres and a Valkey of
the test's own for the other containers, the simulated Ollama for the host's.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import psycopg.sql
import pytest
import requests

from settings import ROOT
from tests.acceptance.clone import free_ports, until
from tests.simulator_process import SimulatorProcess
from tests.support.compose_files import ignored, interpolated, seconds, service
from tests.support.postgres import Postgres
from tests.support.valkey import Valkey

# Whatever a password may be made of, but for Flower's comma.
PASSWORDS = {"POSTGRES_PASSWORD": "p@ss:/w%rd#?&, 'x\"", "FLOWER_PASSWORD": "f@l:w%r/"}
MODEL = "llama3.2:1b"


class Project:
    """What `docker compose up` would start, without docker."""

    def __init__(self, folder: Path, elsewhere: dict[str, str]) -> None:
        self.folder = folder
        self.elsewhere = elsewhere
        self.port, self.flower_port = free_ports(2)
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.python = Path(sys.executable).parent

    def environment(self, name: str) -> dict[str, str]:
        """The service's variables, with the names of other containers replaced by what stands for them."""
        variables = {
            key: interpolated(value, PASSWORDS) for key, value in service(name)["environment"].items()
        }
        for key, value in variables.items():
            for theirs, ours in self.elsewhere.items():
                variables[key] = variables[key].replace(theirs, ours) if value != ours else value
        variables |= {"HOST": "127.0.0.1", "PORT": str(self.port), "FLOWER_PORT": str(self.flower_port)}
        if "FLOWER_ADDRESS" in variables:
            variables["FLOWER_ADDRESS"] = "127.0.0.1"
        return {"PATH": f"{self.python}:/usr/bin:/bin", "HOME": str(self.folder), **variables}

    def run(self, name: str, *command: str) -> "subprocess.CompletedProcess[str]":
        """As `docker compose exec` does."""
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment(name),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def start(self, name: str, command: list[str]) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            self.running[name] = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environment(name),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def is_healthy(self, name: str) -> bool:
        """What the service's health check says."""
        return self.run(name, *service(name)["healthcheck"]["test"][1:]).returncode == 0

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def stop(self, name: str) -> int:
        """SIGTERM, and its grace period."""
        process = self.running.pop(name)
        process.send_signal(signal.SIGTERM)
        return process.wait(seconds(service(name)["stop_grace_period"]))

    def end(self) -> None:
        for process in self.running.values():
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def copy_of_the_image(folder: Path) -> None:
    """The files that .dockerignore lets into the image."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    for name in filter(None, os.fsdecode(listed).split("\0")):
        if (ROOT / name).is_file() and not ignored(name):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)


@pytest.fixture(scope="module")
def postgres_sockets(postgres: Postgres) -> str:
    """The folder of the socket of a Postgres whose user `paddock` needs a password."""
    url = postgres.create_database("paddock").replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as connection:
        password = psycopg.sql.Literal(PASSWORDS["POSTGRES_PASSWORD"])
        connection.execute(psycopg.sql.SQL("CREATE USER paddock PASSWORD {}").format(password))
        connection.execute("ALTER DATABASE paddock OWNER TO paddock")
        connection.execute("ALTER SCHEMA public OWNER TO paddock")
        rules = Path(shown(connection, "hba_file"))
        rules.write_text(f"local paddock paddock scram-sha-256\n{rules.read_text()}")
        connection.execute("SELECT pg_reload_conf()")
        return shown(connection, "unix_socket_directories")


def shown(connection: "psycopg.Connection[tuple[str]]", parameter: str) -> str:
    row = connection.execute(f"SHOW {parameter}").fetchone()
    assert row
    return row[0]


@pytest.fixture(scope="module")
def project(postgres_sockets: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The folder of the image, and everything that is not of the image."""
    folder = Path(tempfile.mkdtemp(prefix="img-", dir="/tmp"))
    copy_of_the_image(folder)
    valkey = Valkey()
    valkey.start()
    ollama = SimulatorProcess(tmp_path_factory.mktemp("ollama"), "--models", MODEL)
    elsewhere = {
        "@postgres:5432/paddock": f"@/paddock?host={postgres_sockets}",
        "redis://redis:6379/0": valkey.url,
        "http://host.docker.internal:11434": ollama.url,
    }
    made = Project(folder, elsewhere)
    yield made
    made.end()
    ollama.stop()
    valkey.close()
    shutil.rmtree(folder)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def healthy(project: Project, name: str) -> Callable[[], bool]:
    return lambda: project.is_healthy(name)


def test_the_services_of_compose_work_together(project: Project) -> None:
    """Migrate, start, be healthy, make a key, answer a prompt, and end within the grace periods."""
    migrated = project.run("migrate", *service("migrate")["command"])
    assert migrated.returncode == 0, migrated.stderr
    again = project.run("migrate", *service("migrate")["command"])
    assert again.returncode == 0, again.stderr

    assert not project.is_healthy("ollama-functions")
    # The image's own command, which test_containers compares with this one.
    web = ["python", "-m", "gunicorn", "-c", "python:stack.web", "api:create_app()"]
    project.start("ollama-functions", web)
    for name in ("worker", "flower"):
        assert not project.is_healthy(name)
        project.start(name, service(name)["command"])
    for name, is_up in (
        ("ollama-functions", lambda: listens(project.port)),
        ("worker", lambda: "ready." in project.log("worker")),
        ("flower", lambda: listens(project.flower_port)),
    ):
        # A check is a process, and many of them would take the time of what starts.
        until(is_up, f"{name} is up")
        until(healthy(project, name), f"{name} is healthy")

    command = ["flask", "--app", "api", "keys", "create", "--name", "admin", "--role", "admin", "--quiet"]
    made = project.run("ollama-functions", *command)
    assert made.returncode == 0, made.stderr
    assert_a_prompt_is_answered(project, made.stdout.strip())
    assert_flower_asks_for_its_password(project)

    assert project.stop("worker") == 0
    until(lambda: not project.is_healthy("worker"), "the worker's end is seen")
    assert project.stop("ollama-functions") == 0
    assert project.stop("flower") == 0
    for name in ("ollama-functions", "worker", "flower"):
        assert "Traceback" not in project.log(name), project.log(name)


def assert_a_prompt_is_answered(project: Project, key: str) -> None:
    url = f"http://127.0.0.1:{project.port}"
    headers = {"Authorization": f"Bearer {key}"}
    assert requests.get(f"{url}/healthz", timeout=5).text == '{"status":"ok"}'
    jobs: list[dict[str, Any]] = []

    def is_accepted() -> bool:  # soon after the start no worker may have told of its models yet
        answer = requests.post(
            f"{url}/api/llm/jobs/submit/",
            json={"prompt": "Hello", "model": MODEL},
            headers=headers,
            timeout=5,
        )
        jobs.append(answer.json())
        return answer.status_code == 202

    until(is_accepted, "a job is accepted")
    status = f"{url}/api/llm/jobs/{jobs[-1]['job_id']}/status/?wait=20"
    job = requests.get(status, headers=headers, timeout=30).json()
    assert job["status"] == "completed", job
    assert job["result_data"]


def assert_flower_asks_for_its_password(project: Project) -> None:
    url = f"http://127.0.0.1:{project.flower_port}/"
    assert requests.get(url, timeout=5).status_code == 401
    assert requests.get(url, auth=("admin", PASSWORDS["FLOWER_PASSWORD"]), timeout=5).status_code == 200
