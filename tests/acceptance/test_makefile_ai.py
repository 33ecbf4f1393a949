"""
The targets of Makefile.ai, with stand-ins for `docker` and `ollama`.

Both are small shell scripts that write down what they were asked and answer as the real ones do, as far as
the targets look at it. No container and no model runs here.
"""

import http.server
import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from settings import ROOT
from tests.acceptance.clone import free_ports, runs, until

DEFAULT_MODEL = "llama3.1:8b-instruct-q6_K"
BRIDGE = "172.30.0.1"
# What the targets may call besides docker and ollama.
TOOLS = (
    *(
        "make",
        "sh",
        "cat",
        "chmod",
        "curl",
        "dirname",
        "echo",
        "env",
        "grep",
        "mkdir",
        "nohup",
        "od",
        "ps",
        "rm",
    ),
    *("sed", "sleep", "tail", "tr"),
)
TARGETS = re.findall(r"^(ai-[a-z-]+):", (ROOT / "Makefile.ai").read_text(), re.MULTILINE)
NEED_DOCKER = [
    "ai-up-ollama-functions",
    "ai-restart-ollama-functions",
    "ai-stop-ollama-functions",
    "ai-down-ollama-functions",
    "ai-ollama-functions-health",
    "ai-ollama-functions-logs",
]
NEED_OLLAMA = [
    "ai-ollama-pull-model",
    "ai-ollama-serve-docker-gateway",
    "ai-ollama-serve-docker-gateway-bg",
    "ai-ollama-restart-docker-gateway",
]

STAND_IN_FOR_DOCKER = """
echo "docker $*" >>"$STAND_INS/calls"
[ "$1" != info ] || [ -z "${NO_ENGINE-}" ] || exit 1
case "$*" in
    "info --format"*) echo "${DOCKER_SYSTEM-Debian GNU/Linux 12 (bookworm)}" ;;
    "network inspect bridge"*) echo "${DOCKER_BRIDGE-}" ;;
    "compose version") [ -z "${NO_COMPOSE-}" ] || exit 1 ;;
    "compose port ollama-functions 8000") [ -z "${PUBLISHED-}" ] && exit 1 || echo "$PUBLISHED" ;;
    "compose up"*) echo "started" ;;
    "compose logs"*) echo "a line of the API" ;;
esac
"""

STAND_IN_FOR_OLLAMA = """
host=${OLLAMA_HOST-default}
echo "ollama $* on $host" >>"$STAND_INS/calls"
case "$1" in
    serve)
        if [ -n "${CANNOT_SERVE-}" ]; then
            echo "Error: listen tcp: cannot assign requested address" >&2
            exit 1
        fi
        trap 'rm -f "$STAND_INS/serving.$host"; exit 0' TERM
        : >"$STAND_INS/serving.$host"
        echo "Listening on $host"
        while :; do sleep 0.05; done ;;
    list) [ -e "$STAND_INS/serving.$host" ] ;;
    show) grep -qx "$2" "$STAND_INS/models.$host" 2>/dev/null ;;
    pull) printf '%s\\n' "$2" >>"$STAND_INS/models.$host" ;;
esac
"""


def script(path: Path, text: str) -> None:
    """A shell script that can be run."""
    path.write_text(f"#!/bin/sh\n{text}")
    path.chmod(0o755)


class Machine:
    """A folder with the project's make files, and a PATH that holds the tools and stand-ins of the test."""

    def __init__(self, folder: Path) -> None:
        self.project = folder / "a project"  # a blank in its path
        self.project.mkdir()
        self.stand_ins = folder / "stand-ins"
        self.stand_ins.mkdir()
        self.bin = folder / "bin"
        self.bin.mkdir()
        for name in ("Makefile", "Makefile.ai"):
            shutil.copy(ROOT / name, self.project)
        shutil.copytree(ROOT / "deploy", self.project / "deploy")
        for tool in TOOLS:
            found = shutil.which(tool)
            assert found, f"{tool} is needed for this test"
            (self.bin / tool).symlink_to(found)
        script(self.bin / "docker", STAND_IN_FOR_DOCKER)
        script(self.bin / "ollama", STAND_IN_FOR_OLLAMA)

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": str(self.bin), "STAND_INS": str(self.stand_ins), "DOCKER_BRIDGE": f"{BRIDGE} "}

    def command(self, *arguments: str) -> list[str]:
        return [str(self.bin / "make"), "--no-print-directory", *arguments]

    def make(self, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            self.command(*arguments),
            cwd=self.project,
            env={**self.environment, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def without(self, program: str) -> None:
        (self.bin / program).unlink()

    def calls(self) -> list[str]:
        file = self.stand_ins / "calls"
        return file.read_text().splitlines() if file.exists() else []

    def has_serving(self, host: str) -> None:
        """As if an Ollama of somebody's own answered there."""
        (self.stand_ins / f"serving.{host}").touch()

    @property
    def pid_file(self) -> Path:
        return self.project / "var" / "ollama-gateway.pid"


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path)
    yield made
    for process in psutil.process_iter(["cmdline"]):  # what a failed test left behind
        if str(made.bin / "ollama") in (process.info["cmdline"] or []):
            process.kill()


def the_line(done: "subprocess.CompletedProcess[str]") -> str:
    """The one line that a refused target wrote; make's own line about it is not counted."""
    assert done.returncode != 0, done.stdout
    lines = [line for line in done.stderr.splitlines() if not line.startswith("make: ***")]
    assert len(lines) == 1, done.stderr
    return lines[0]


# --- every target -------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", NEED_DOCKER)
@pytest.mark.parametrize("file", ["Makefile", "Makefile.ai"])
def test_without_docker_one_line_says_so(machine: Machine, file: str, target: str) -> None:
    """With a status that is not 0, and whichever make file was used."""
    machine.without("docker")
    done = machine.make("-f", file, target)
    assert the_line(done).startswith("paddock: docker is missing: install it (https://")


@pytest.mark.parametrize("target", NEED_OLLAMA)
def test_without_ollama_one_line_says_so(machine: Machine, target: str) -> None:
    """Also where the target would end a gateway first."""
    machine.without("ollama")
    assert the_line(machine.make(target)).startswith("paddock: ollama is missing: install it (https://")


@pytest.mark.parametrize("target", NEED_DOCKER)
def test_without_the_compose_plugin_one_line_says_so(machine: Machine, target: str) -> None:
    """The docker program may come without it."""
    done = machine.make(target, NO_COMPOSE="1")
    assert the_line(done).startswith("paddock: docker compose is missing: install the plugin (https://")


@pytest.mark.parametrize("target", NEED_DOCKER)
def test_an_engine_that_does_not_answer_is_named(machine: Machine, target: str) -> None:
    """Before anything is written."""
    done = machine.make(target, NO_ENGINE="1")
    assert the_line(done).startswith("paddock: docker does not answer: start its engine")
    assert not (machine.project / ".env").exists()


def test_the_help_names_every_target(machine: Machine) -> None:
    """And Makefile.ai alone shows it by default."""
    shown = machine.make("-f", "Makefile.ai").stdout
    assert set(re.findall(r"make (ai-[a-z-]+)", shown)) == set(TARGETS) - {"ai-help"}
    assert "make ai-help" in machine.make().stdout


# --- the model ----------------------------------------------------------------------------------------


def test_a_model_is_pulled_once(machine: Machine) -> None:
    """The default one, and a second time not again."""
    machine.has_serving("default")
    assert machine.make("ai-ollama-pull-model").returncode == 0
    assert machine.make("ai-ollama-pull-model").stdout == f"{DEFAULT_MODEL} is there.\n"
    assert machine.calls().count(f"ollama pull {DEFAULT_MODEL} on default") == 1


@pytest.mark.parametrize("model", ["llama3.2:1b", "hf.co/a/b:$(touch pwned)"])
@pytest.mark.parametrize("file", ["Makefile", "Makefile.ai"])
def test_another_model_is_pulled_by_its_name(machine: Machine, file: str, model: str) -> None:
    """MODEL= chooses, and nothing in it is executed."""
    machine.has_serving("default")
    assert machine.make("-f", file, "ai-ollama-pull-model", f"MODEL={model}").returncode == 0
    assert f"ollama pull {model} on default" in machine.calls()
    assert not (machine.project / "pwned").exists()


def test_a_model_is_pulled_into_the_gateway_where_one_runs(machine: Machine) -> None:
    """Another Ollama of the machine may keep its models elsewhere."""
    machine.make("ai-ollama-serve-docker-gateway-bg")
    assert machine.make("ai-ollama-pull-model", "MODEL=a").returncode == 0
    assert f"ollama pull a on {BRIDGE}:11434" in machine.calls()
    machine.make("ai-ollama-kill")


def test_a_pull_without_a_server_says_how_to_get_one(machine: Machine) -> None:
    """Rather than what ollama says to that."""
    line = the_line(machine.make("ai-ollama-pull-model"))
    assert "no Ollama answers at 127.0.0.1:11434" in line
    assert "make ai-ollama-serve-docker-gateway-bg" in line


# --- the gateway --------------------------------------------------------------------------------------


def test_the_gateway_serves_on_the_bridge_in_the_background_until_it_is_killed(machine: Machine) -> None:
    """Its pid is noted, its log kept, and the end of make is not its end."""
    done = machine.make("ai-ollama-serve-docker-gateway-bg")
    assert done.returncode == 0, done.stderr
    pid = int(machine.pid_file.read_text())
    assert f"Ollama serves on {BRIDGE}:11434, for containers (process {pid}" in done.stdout
    assert f"ollama serve on {BRIDGE}:11434" in machine.calls()
    assert machine.make("ai-ollama-logs").stdout == f"Listening on {BRIDGE}:11434\n"

    assert "already serves" in machine.make("ai-ollama-serve-docker-gateway-bg").stdout
    assert machine.calls().count(f"ollama serve on {BRIDGE}:11434") == 1

    assert f"The gateway has ended (process {pid})." in machine.make("ai-ollama-kill").stdout
    assert not runs(pid)
    assert "No gateway runs." in machine.make("ai-ollama-kill").stdout


def test_the_gateway_in_the_foreground_ends_with_its_make(machine: Machine) -> None:
    """Ctrl-C reaches the whole group; ai-ollama-kill from another terminal ends it too."""
    for ends in ("Ctrl-C", "kill"):
        process = subprocess.Popen(
            machine.command("ai-ollama-serve-docker-gateway"),
            cwd=machine.project,
            env=machine.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )
        serving = machine.stand_ins / f"serving.{BRIDGE}:11434"
        until(serving.exists, "the gateway serves")
        if ends == "kill":
            assert machine.make("ai-ollama-kill").returncode == 0
        else:
            os.killpg(process.pid, signal.SIGINT)
            serving.unlink()
        process.wait(10)


def test_a_restart_serves_anew(machine: Machine) -> None:
    """With another process, whether one ran before or not."""
    assert machine.make("ai-ollama-restart-docker-gateway").returncode == 0
    first = machine.pid_file.read_text()
    assert machine.make("ai-ollama-restart-docker-gateway").returncode == 0
    assert machine.pid_file.read_text() != first
    assert not runs(int(first))
    machine.make("ai-ollama-kill")


def test_another_ollama_is_named_and_left_alone(machine: Machine) -> None:
    """Only the one of the pid file is ours to end."""
    theirs = subprocess.Popen(
        [machine.bin / "ollama", "serve"], env=machine.environment, stdout=subprocess.DEVNULL
    )
    until((machine.stand_ins / "serving.default").exists, "the other Ollama serves")
    try:
        done = machine.make("ai-ollama-serve-docker-gateway-bg")
        assert "Another Ollama runs, which is left alone: process" in done.stdout
        ended = machine.make("ai-ollama-kill").stdout
        told = re.search(r"left alone: process ([0-9 ]+)\.", ended)
        assert told
        assert str(theirs.pid) in told[1].split()
        assert theirs.poll() is None
    finally:
        theirs.terminate()
        theirs.wait(10)


@pytest.mark.parametrize("target", ["ai-ollama-serve-docker-gateway", "ai-ollama-serve-docker-gateway-bg"])
def test_an_ollama_that_serves_there_already_will_do(machine: Machine, target: str) -> None:
    """As with Docker Desktop beside Ollama's own application; it is not ours to end."""
    machine.has_serving("127.0.0.1:11434")
    done = machine.make(target, DOCKER_SYSTEM="Docker Desktop")
    assert (done.returncode, done.stdout) == (
        0,
        "An Ollama that was not started here serves on 127.0.0.1:11434 already; containers can use it.\n",
    )
    assert not machine.pid_file.exists()


def test_a_pid_that_is_another_programs_by_now_is_not_killed(machine: Machine) -> None:
    """As after a restart of the machine."""
    with subprocess.Popen(["sleep", "60"]) as innocent:
        machine.pid_file.parent.mkdir()
        machine.pid_file.write_text(f"{innocent.pid}\n")
        assert "No gateway runs." in machine.make("ai-ollama-kill").stdout
        assert innocent.poll() is None
        innocent.kill()


def test_an_ollama_that_cannot_serve_says_why(machine: Machine) -> None:
    """Its own last line, and no pid file is left."""
    done = machine.make("ai-ollama-serve-docker-gateway-bg", CANNOT_SERVE="1")
    assert the_line(done) == (
        "paddock: ollama serve ended: Error: listen tcp: cannot assign requested address"
    )
    assert not machine.pid_file.exists()


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "[::]", "*"])
@pytest.mark.parametrize("target", ["ai-ollama-serve-docker-gateway", "ai-ollama-serve-docker-gateway-bg"])
def test_the_gateway_never_serves_on_every_interface(machine: Machine, target: str, address: str) -> None:
    """Ollama has no password."""
    line = the_line(machine.make(target, f"GATEWAY_ADDRESS={address}"))
    assert line == f"paddock: GATEWAY_ADDRESS={address} is every interface: name the one of the bridge"
    assert not any(call.startswith("ollama serve") for call in machine.calls())


@pytest.mark.parametrize(
    ("variables", "served"),
    [
        ({"GATEWAY_ADDRESS": "10.1.2.3", "GATEWAY_PORT": "11500"}, "10.1.2.3:11500"),
        ({"DOCKER_BRIDGE": "fd00::1 172.31.0.1 "}, "172.31.0.1:11434"),
        ({"DOCKER_BRIDGE": ""}, "172.17.0.1:11434"),
        ({"DOCKER_SYSTEM": "Docker Desktop"}, "127.0.0.1:11434"),
    ],
)
def test_where_the_gateway_serves(machine: Machine, variables: dict[str, str], served: str) -> None:
    """Where it is told to; else the bridge's IPv4, or Docker's default; on Docker Desktop loopback."""
    done = machine.make("ai-ollama-serve-docker-gateway-bg", **variables)
    assert f"Ollama serves on {served}," in done.stdout, done.stderr
    machine.make("ai-ollama-kill")


def test_a_gateway_without_docker_needs_an_address(machine: Machine) -> None:
    """The line says which variable; with it docker isn't asked."""
    machine.without("docker")
    assert "docker is missing" in the_line(machine.make("ai-ollama-serve-docker-gateway-bg"))
    assert machine.make("ai-ollama-serve-docker-gateway-bg", GATEWAY_ADDRESS="10.1.2.3").returncode == 0
    machine.make("ai-ollama-kill")


def test_an_engine_that_does_not_answer_is_named_by_the_gateway(machine: Machine) -> None:
    """Without its engine there may be no bridge to serve on."""
    line = the_line(machine.make("ai-ollama-serve-docker-gateway-bg", NO_ENGINE="1"))
    assert line == (
        "paddock: docker does not answer: start its engine, or set GATEWAY_ADDRESS (usually 172.17.0.1)"
    )


def test_logs_before_any_gateway_say_so(machine: Machine) -> None:
    """In one line."""
    assert the_line(machine.make("ai-ollama-logs")).startswith("paddock: no log yet")


def test_logs_are_the_last_hundred_lines(machine: Machine) -> None:
    """The gateway's log may be long."""
    log = machine.project / "var" / "log" / "ollama-gateway.log"
    log.parent.mkdir(parents=True)
    log.write_text("".join(f"{number}\n" for number in range(500)))
    assert machine.make("ai-ollama-logs").stdout.split() == [str(number) for number in range(400, 500)]


# --- the containers -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "call"),
    [
        ("ai-up-ollama-functions", "compose up --detach"),
        (
            "ai-restart-ollama-functions",
            "compose up --detach --build --force-recreate ollama-functions worker flower",
        ),
        ("ai-stop-ollama-functions", "compose --profile ollama stop"),
        ("ai-down-ollama-functions", "compose --profile ollama down"),
        ("ai-ollama-functions-logs", "compose logs --no-color --tail 100 ollama-functions"),
    ],
)
def test_what_docker_is_asked(machine: Machine, target: str, call: str) -> None:
    """One compose command each, after those that see whether it can be run."""
    done = machine.make(target)
    assert done.returncode == 0, done.stderr
    assert machine.calls() == ["docker compose version", "docker info", f"docker {call}"]


def test_the_passwords_are_made_once(machine: Machine) -> None:
    """Into .env, for its owner alone; a later start keeps them, and what else is there."""
    env = machine.project / ".env"
    env.write_text("PADDOCK_MODEL=a")  # without a line's end
    made = machine.make("ai-up-ollama-functions").stdout
    assert "Made POSTGRES_PASSWORD, in .env" in made
    first = env.read_text()
    assert re.fullmatch(
        r"PADDOCK_MODEL=a\nPOSTGRES_PASSWORD=[0-9a-f]{48}\nFLOWER_PASSWORD=[0-9a-f]{48}\n", first
    )
    assert env.stat().st_mode & 0o777 == 0o600
    assert "Made" not in machine.make("ai-up-ollama-functions").stdout
    assert env.read_text() == first


def test_passwords_of_the_environment_are_not_written_down(machine: Machine) -> None:
    """A pipeline hands them over as it hands over its other secrets."""
    machine.make("ai-up-ollama-functions", POSTGRES_PASSWORD="a", FLOWER_PASSWORD="b")
    assert not (machine.project / ".env").exists()


@pytest.fixture
def answers() -> Iterator[Callable[[int, bytes], str]]:
    """A server in the API's place that answers one status and body; gives its address."""
    servers: list[http.server.ThreadingHTTPServer] = []

    def serve(status: int, body: bytes) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status if self.path == "/healthz" else 404)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Tests need no access log."""

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"127.0.0.1:{server.server_address[1]}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("published", ["127.0.0.1", "0.0.0.0", "[::]"])
def test_health_is_what_the_api_answers(
    machine: Machine, answers: Callable[[int, bytes], str], published: str
) -> None:
    """Asked where docker says that it was published, past any proxy."""
    address = answers(200, b'{"status":"ok"}').replace("127.0.0.1", published)
    proxy = f"http://127.0.0.1:{free_ports(1)[0]}"
    done = machine.make("ai-ollama-functions-health", PUBLISHED=address, http_proxy=proxy)
    assert (done.returncode, done.stdout) == (0, '{"status":"ok"}\n')


def test_health_waits_a_bounded_time(machine: Machine, answers: Callable[[int, bytes], str]) -> None:
    """Then one line says where to look."""
    address = answers(503, b'{"status":503}')
    done = machine.make("ai-ollama-functions-health", PUBLISHED=address, HEALTH_TIMEOUT_SECONDS="1")
    assert the_line(done) == (
        f"paddock: ollama-functions did not answer at http://{address}/healthz within 1 s: "
        "make ai-ollama-functions-logs"
    )
    assert done.stdout == ""


def test_health_of_what_is_not_up(machine: Machine) -> None:
    """The line says how to start it."""
    done = machine.make("ai-ollama-functions-health", HEALTH_TIMEOUT_SECONDS="0")
    assert the_line(done) == "paddock: ollama-functions is not up: make ai-up-ollama-functions starts it"


def test_health_without_curl_names_it(machine: Machine) -> None:
    """It is no part of every Linux."""
    machine.without("curl")
    assert the_line(machine.make("ai-ollama-functions-health")).startswith("paddock: curl is missing")
