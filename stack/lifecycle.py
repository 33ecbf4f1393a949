"""Start and stop: the order in which the local stack comes up and goes down."""

import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import redis
import requests

from settings import Settings, child_environment, get_settings
from var_files import read_or_make_secret

from . import checks, supervisor
from .errors import StackError
from .leftovers import end_leftovers, find_leftovers, is_alive
from .ollama import OllamaChoice, choose_ollama, shown
from .places import Places, Running
from .programs import AFTER_DRAIN_SECONDS, Program, programs, valkey_configuration
from .setup import prepare_database
from .terminal import say

# What `make ask` and make itself hand over; a prompt has no business in the environment of every process.
NOT_FOR_CHILDREN = ("ASK_PROMPT", "ASK_MODEL", "PROMPT", "MODEL", "MAKEFLAGS", "MFLAGS", "MAKELEVEL")
READY_TIMEOUT_SECONDS = 60.0
VALKEY_TIMEOUT_SECONDS = 60.0  # it reads its whole AOF first
STOP_LINE_EVERY_SECONDS = 5.0


@dataclass
class Started:
    """A stack that this process has just started."""

    runner: "subprocess.Popen[bytes]"
    running: Running


def start(settings: Settings) -> Started:
    """
    Starts the stack of this folder and waits until it answers.

    The caller holds `places.starting()` and has seen that none is up.

    Raises:
        StackError: one line that says what is wrong and what to do.
    """
    places = Places(settings.var_dir)
    places.make_folders()
    # The sockets' folder may be new, and its place is part of the settings.
    get_settings.cache_clear()
    settings = get_settings()
    end_leftovers(places, settings.drain_seconds)
    checks.check_ports(settings)
    checks.check_not_itself(settings)
    ollama = choose_ollama(settings)
    extra = {"PADDOCK_OLLAMA_HOST": ollama.hosts[0]} if ollama.simulated else {}
    environment = child_environment(extra, without=NOT_FOR_CHILDREN)
    prepare_database(places, environment)
    read_or_make_secret(places.flower_password)
    return _launch(settings, places, ollama, environment)


def _launch(
    settings: Settings, places: Places, ollama: OllamaChoice, environment: Mapping[str, str]
) -> Started:
    to_run = programs(settings, places, ollama)
    (places.var / "valkey.conf").write_text(valkey_configuration(places), encoding="utf-8")
    running = Running(
        url=settings.base_url,
        flower_url=f"http://127.0.0.1:{settings.flower_port}",
        ollama_hosts=tuple(shown(host) for host in ollama.hosts),
        simulated=ollama.simulated,
    )
    runner = supervisor.spawn(places, to_run, environment)
    try:
        start_programs(to_run, settings, places)
        running.write(places)
        wait_until_it_answers(f"{settings.base_url}/healthz", places)
    except BaseException:
        # Half a stack is no stack: whoever asked is told, and the next start begins afresh.
        runner.terminate()
        runner.wait()
        raise
    return Started(runner, running)


def start_programs(to_run: Sequence[Program], settings: Settings, places: Places) -> None:
    """In their order; the others find Valkey there."""
    with supervisor.Control(places) as control:
        for program in sorted(to_run, key=lambda program: program.priority):
            control.start(program.name)
            if program.name == "valkey":
                wait_for_valkey(settings.redis_url, places)


def wait_for_valkey(url: str, places: Places) -> None:
    """
    Until it answers; while it reads its data it says that it is loading.

    Raises:
        StackError: it does not within a minute.
    """
    deadline = time.monotonic() + VALKEY_TIMEOUT_SECONDS
    with redis.Redis.from_url(url, socket_timeout=2) as client:
        while True:
            with suppress(redis.RedisError):
                client.ping()
                return
            if time.monotonic() > deadline:
                raise StackError(f"Valkey did not come up; {_last_line(places.logs / 'valkey.log')}")
            time.sleep(0.05)


def wait_until_it_answers(url: str, places: Places) -> None:
    """
    Until the web process answers at all; what it says about its health is for `doctor`.

    Raises:
        StackError: it does not within a minute.
    """
    deadline = time.monotonic() + READY_TIMEOUT_SECONDS
    with requests.Session() as session:
        session.trust_env = False  # no proxy between this machine and itself
        while True:
            with suppress(requests.RequestException):
                session.get(url, timeout=5)
                return
            if time.monotonic() > deadline:
                raise StackError(f"the web process did not come up; {_last_line(places.logs / 'web.log')}")
            time.sleep(0.1)


def _last_line(log: Path) -> str:
    with suppress(OSError):
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        if lines:
            return f"{log} ends with: {lines[-1]}"
    return f"{log} says nothing"


def describe(running: Running, places: Places) -> None:
    """Says what is where."""
    say(f"API      {running.url}   admin key in {places.admin_key}")
    say(f"Flower   {running.flower_url}   user admin, password in {places.flower_password}")
    what = "simulated Ollama" if running.simulated else "Ollama"
    say(f"{what}   {', '.join(running.ollama_hosts)}")
    say(f"Logs     {places.logs}")


def start_in_background(settings: Settings) -> Running:
    """`start` and the first half of `ask`: up it is, and up it stays."""
    places = Places(settings.var_dir)
    places.make_folders()
    with places.starting():
        if places.is_up():
            running = Running.read(places)
            if running is not None:
                return running
            raise StackError("a stack is half up in this folder: make stop, then try again")
        say("Starting the local stack ...")
        running = start(settings).running
    describe(running, places)
    say("It stays up; `make stop` ends it.")
    return running


def stop(settings: Settings) -> bool:
    """
    Ends this folder's stack, jobs that run being given their time. Nothing to stop is fine too.

    A second Ctrl-C meanwhile ends everything at once: leases give the jobs back.
    """
    places = Places(settings.var_dir)
    if not places.var.is_dir():
        say("Nothing runs in this folder.")
        return True
    places.make_folders()
    with places.starting():
        stopped = places.is_up() and _shut_down(places, settings.drain_seconds)
        if find_leftovers(places):
            end_leftovers(places, settings.drain_seconds)
            stopped = True
        places.note.unlink(missing_ok=True)
    say("Stopped." if stopped else "Nothing runs in this folder.")
    return True


def _shut_down(places: Places, drain_seconds: float) -> bool:
    """Asks the runner to end and waits for it."""
    with supervisor.Control(places) as control:
        try:
            runner = psutil.Process(control.pid())
            control.shutdown()
        except (*supervisor.Control.Gone, psutil.NoSuchProcess):
            return True  # it ended by itself meanwhile
        at_once = threading.Event()
        with suppress(ValueError):  # a test may call this outside of the main thread
            signal.signal(signal.SIGINT, lambda *_: at_once.set())
        say("Stopping ...")
        next_line = time.monotonic() + STOP_LINE_EVERY_SECONDS
        while is_alive(runner):
            with suppress(*supervisor.Control.Gone):
                if at_once.wait(0.1):
                    control.kill_all()
                # Left alone, it looks after its processes once a second; a question wakes it.
                control.pid()
            if time.monotonic() > next_line:
                next_line += STOP_LINE_EVERY_SECONDS
                up_to = drain_seconds + AFTER_DRAIN_SECONDS
                say(f"Still stopping; jobs that run are given up to {up_to:.0f} s (Ctrl-C: at once) ...")
    return True
