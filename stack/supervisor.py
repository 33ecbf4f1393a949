"""The process runner (supervisord): its configuration, and talking to it over its Unix socket."""

import http.client
import os
import shlex
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Mapping, Sequence
from typing import Any, Self

from settings import ROOT

from .errors import StackError
from .places import Places
from .programs import Program

START_TIMEOUT_SECONDS = 15.0
# Writes down its process id, then becomes the program: the pid file is there however the runner ends.
NOTE_PID_AND_BECOME = 'echo $$ >"run/$0.pid"; cd "$1"; shift; exec "$@"'


def configuration(places: Places, programs: Sequence[Program]) -> str:
    """
    supervisord's configuration, in its own language: an ini file where % expands, some of it twice.

    supervisord runs in `var/`, so that paths are relative and may have any character.
    """
    sections = [
        _section("unix_http_server", {"file": str(places.control_socket), "chmod": "0700"}),
        _section(
            "supervisord",
            {
                "nodaemon": "true",
                "silent": "true",
                "logfile": "log/supervisord.log",
                "logfile_maxbytes": "10MB",
                "logfile_backups": "3",
                "pidfile": "supervisord.pid",
                "childlogdir": "log",
                "umask": "077",
                # Unsaid, supervisord warns whoever starts it as root, which containers do.
                **({"user": "root"} if os.getuid() == 0 else {}),
            },
        ),
        _section(
            "rpcinterface:supervisor",
            {"supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"},
        ),
    ]
    return "\n".join(sections + [_program_section(program) for program in programs])


def _program_section(program: Program) -> str:
    launch = ("/bin/sh", "-c", NOTE_PID_AND_BECOME, program.name, str(ROOT), *program.command)
    return _section(
        f"program:{program.name}",
        {
            "command": _command_line(launch),
            "priority": str(program.priority),
            # The lifecycle starts each one when what it needs is there.
            "autostart": "false",
            "autorestart": "true",
            "startsecs": "1",
            # Never given up: after each quick death it waits a second longer before the next try.
            "startretries": "1000000000",
            "stopsignal": "TERM",
            "stopwaitsecs": str(program.stop_wait_seconds),
            # SIGTERM goes to the parent alone, which ends its children in order; SIGKILL takes all of them.
            "stopasgroup": "false",
            "killasgroup": "true",
            "redirect_stderr": "true",
            "stdout_logfile": f"log/{program.name}.log",
            "stdout_logfile_maxbytes": "10MB",
            "stdout_logfile_backups": "3",
            "environment": ",".join(
                f'{name}="{value.replace("%", "%%")}"' for name, value in program.environment.items()
            ),
        },
    )


def _section(name: str, values: Mapping[str, str]) -> str:
    return "".join([f"[{name}]\n", *(f"{key}={value}\n" for key, value in values.items() if value)])


def _command_line(words: Sequence[str]) -> str:
    """Quoted for the shell-like split of `command=`, after % expansion and the cutting off of comments."""
    line = shlex.join(words).replace("%", "%%")
    # A blank and # or ; begin a comment, quoted or not; with quotes closed and opened between, they don't.
    return line.replace(" #", " ''#").replace(" ;", " '';")


def spawn(
    places: Places, programs: Sequence[Program], environment: Mapping[str, str]
) -> "subprocess.Popen[bytes]":
    """
    Starts the runner in a session of its own: the terminal's Ctrl-C and hang-up don't reach it.

    Raises:
        StackError: it does not come up.
    """
    file = places.var / "supervisord.conf"
    file.write_text(configuration(places, programs), encoding="utf-8")
    errors = places.logs / "supervisord.err"
    with errors.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "supervisor.supervisord", "-c", file.name],
            cwd=places.var,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=True,
        )
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while not places.is_up():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            process.wait()
            reason = errors.read_text(errors="replace").strip().splitlines() or ["no reason given"]
            raise StackError(f"the process runner did not start ({reason[-1]}): see {places.logs}")
        time.sleep(0.05)
    return process


class Control:
    """Speaks to a running supervisord. Its errors mean that it is gone or going."""

    Gone = (OSError, http.client.HTTPException, xmlrpc.client.Error)

    def __init__(self, places: Places) -> None:
        from supervisor.xmlrpc import SupervisorTransport  # late: only a start and a stop need it

        self._transport: Any = SupervisorTransport(None, None, f"unix://{places.control_socket}")
        self._rpc: Any = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=self._transport).supervisor

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._transport.close()

    def start(self, name: str) -> None:
        self._call("startProcess", name, False)

    def shutdown(self) -> None:
        self._call("shutdown")

    def kill_all(self) -> None:
        """SIGKILL to every process; the runner, when shutting down, starts none again."""
        self._call("signalAllProcesses", "KILL")

    def pid(self) -> int:
        return int(self._call("getPID"))

    def processes(self) -> dict[str, dict[str, Any]]:
        """Name to state: `statename`, `pid`, `description`, `exitstatus` and what else supervisord tells."""
        return {info["name"]: info for info in self._call("getAllProcessInfo")}

    def _call(self, name: str, *arguments: object) -> Any:
        try:
            return getattr(self._rpc, name)(*arguments)
        except self.Gone:
            # A connection that broke in the middle takes no further request; the next call makes another.
            self._transport.close()
            raise
