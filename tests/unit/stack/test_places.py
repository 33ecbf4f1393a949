"""Folders, sockets and the note of a running stack."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from stack.errors import StackError
from stack.places import LONGEST_SOCKET_PATH, Places, Running


def test_folders_are_their_owners_alone(tmp_path: Path) -> None:
    """Prompts lie in the database and the logs."""
    places = Places(tmp_path / "var")
    places.make_folders()
    for folder in (places.var, places.logs, places.pids, places.valkey_data):
        assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", ["x" * 120, "a folder", "höhe", "100%", "a#b"])
@pytest.mark.parametrize("temporary", ["", "y" * 120])
def test_a_path_that_is_no_good_for_a_socket_has_it_elsewhere(
    tmp_path: Path, name: str, temporary: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sockets then live in a short folder of their own, the same one at each start."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / temporary))
    (tmp_path / temporary).mkdir(exist_ok=True)
    places = Places(tmp_path / name)
    places.make_folders()
    chosen = places.valkey_socket
    with removed_afterwards(chosen.parent):
        assert chosen.parent != places.var
        assert chosen.parent.stat().st_mode & 0o777 == 0o700
        assert len(os.fsencode(f"{places.control_socket}.9999999")) <= LONGEST_SOCKET_PATH
        places.make_folders()
        assert places.valkey_socket == chosen


def test_a_socket_folder_that_others_may_enter_is_not_used_again(tmp_path: Path) -> None:
    """Temporary folders are cleared at times, and somebody else may have made that name."""
    places = Places(tmp_path / "a folder")
    places.make_folders()
    with removed_afterwards(first := places.valkey_socket.parent):
        first.chmod(0o755)
        places.make_folders()
        with removed_afterwards(second := places.valkey_socket.parent):
            assert second != first


@contextmanager
def removed_afterwards(folder: Path) -> Iterator[None]:
    """A folder outside of this test's own is not left behind."""
    try:
        yield
    finally:
        folder.rmdir()


def test_a_plain_short_path_has_its_sockets_in_it() -> None:
    """The usual case makes no second folder."""
    with TemporaryDirectory(prefix="p", dir="/tmp") as folder:  # pytest's own may be long
        places = Places(Path(folder))
        places.make_folders()
        assert places.valkey_socket == Path(folder) / "valkey.sock"


def test_a_folder_that_cant_be_made_is_told_in_one_line(tmp_path: Path) -> None:
    """The line names the folder and what to do."""
    (tmp_path / "file").touch()
    with pytest.raises(StackError, match=r"can't be written to .* PADDOCK_VAR") as raised:
        Places(tmp_path / "file" / "var").make_folders()
    assert raised.value.status == 2


def test_a_stack_is_up_while_its_runner_listens(tmp_path: Path) -> None:
    """A socket that a killed runner left behind is not a stack."""
    places = Places(tmp_path)
    places.make_folders()
    assert not places.is_up()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as runner:
        runner.bind(str(places.control_socket))
        runner.listen()
        assert places.is_up()
    assert places.control_socket.exists()
    assert not places.is_up()


def test_a_note_is_read_as_it_was_written(tmp_path: Path) -> None:
    """`ask` and `status` learn from it where the stack is."""
    places = Places(tmp_path)
    assert Running.read(places) is None
    running = Running(
        "http://127.0.0.1:8000", "http://127.0.0.1:5555", ("http://one:11434",), simulated=False
    )
    running.write(places)
    assert Running.read(places) == running
