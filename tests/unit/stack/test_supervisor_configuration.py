"""What the process runner is told, read back with its own reader."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from supervisor.options import ServerOptions

from stack.places import Places
from stack.programs import Program, worker
from stack.supervisor import configuration

Read = Callable[[Program], Any]
NASTY = """a 'b' "c" $d `e` \\f %g %(here)s #h ; i #j"""


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Read:
    """Reads the configuration of one program as supervisord does; returns supervisord's own object."""

    def read_one(program: Program) -> Any:
        (tmp_path / "log").mkdir()
        monkeypatch.chdir(tmp_path)
        (tmp_path / "supervisord.conf").write_text(configuration(Places(tmp_path), [program]))
        options = ServerOptions()
        options.realize(["-c", "supervisord.conf"])
        (group,) = options.process_group_configs
        return group.process_configs[0]

    return read_one


def test_a_command_arrives_as_it_was_written(read: Read) -> None:
    """Quotes, percent signs and what begins a comment are the command's own."""
    found = read(Program("web", ("/bin/" + NASTY, NASTY), 1, 1, {"NAME": "http://me:p%20w@host:1"}))
    assert shlex.split(found.command)[-2:] == ["/bin/" + NASTY, NASTY]
    assert found.environment["NAME"] == "http://me:p%20w@host:1"


def test_a_worker_has_the_time_to_drain(read: Read) -> None:
    """SIGTERM goes to the parent alone; SIGKILL comes after the drain and goes to its children too."""
    found = read(worker(2, "http://gpu:1", drain_seconds=30))
    assert found.stopwaitsecs == 40
    assert (found.stopasgroup, found.killasgroup) == (False, True)
    assert found.environment["PADDOCK_OLLAMA_HOST"] == "http://gpu:1"
    assert "worker-2@%h" in found.command


def test_a_process_is_started_again_without_end(read: Read) -> None:
    """No number of deaths makes the runner give up."""
    found = read(Program("web", ("true",), 1, 1))
    assert found.autorestart is not False
    assert found.startretries >= 10**9
