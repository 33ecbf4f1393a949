"""Where the local stack keeps things under `var/`, and what it notes about a running stack."""

import fcntl
import json
import os
import re
import socket
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from var_files import ADMIN_KEY_FILE, FLOWER_PASSWORD_FILE, SOCKET_PATH_FILE, socket_path

from .errors import StackError
from .terminal import say

# A socket's path may have 103 bytes on macOS and 107 on Linux; the runner binds to NAME.PID first.
LONGEST_SOCKET_PATH = 100
LONGEST_SOCKET_NAME = "/supervisor.sock.9999999"


def _is_good_for_sockets(folder: str) -> bool:
    """Short enough, and without characters that mean something in URLs or the runner's configuration."""
    short = len(folder) + len(LONGEST_SOCKET_NAME) <= LONGEST_SOCKET_PATH
    return short and re.fullmatch(r"[A-Za-z0-9/._-]+", folder) is not None


@dataclass(frozen=True)
class Places:
    """The files of the stack in one folder."""

    var: Path

    @property
    def logs(self) -> Path:
        return self.var / "log"

    @property
    def pids(self) -> Path:
        return self.var / "run"

    @property
    def valkey_data(self) -> Path:
        return self.var / "valkey"

    @property
    def valkey_socket(self) -> Path:
        return socket_path(self.var)

    @property
    def control_socket(self) -> Path:
        return self.valkey_socket.with_name("supervisor.sock")

    @property
    def admin_key(self) -> Path:
        return self.var / ADMIN_KEY_FILE

    @property
    def flower_password(self) -> Path:
        return self.var / FLOWER_PASSWORD_FILE

    @property
    def note(self) -> Path:
        return self.var / "stack.json"

    def make_folders(self) -> None:
        """
        Makes the folders, readable by their owner alone; the sockets get one apart if their path is no good.

        Raises:
            StackError: `var/` can't be written to.
        """
        try:
            self.var.mkdir(mode=0o700, parents=True, exist_ok=True)
            for folder in (self.logs, self.pids, self.valkey_data):
                folder.mkdir(mode=0o700, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.var):
                pass
        except OSError as error:
            raise StackError(
                f"{self.var} can't be written to ({error.strerror}): make it writable for this user, or set "
                "PADDOCK_VAR to a folder that is"
            ) from None
        self._make_socket_folder()

    def _make_socket_folder(self) -> None:
        if _is_good_for_sockets(str(self.var)):
            return
        note = self.var / SOCKET_PATH_FILE
        # Temporary folders are cleared at a restart of the machine; the noted one may be another's by now.
        if note.exists():
            folder = socket_path(self.var).parent
            if folder.is_dir() and not folder.is_symlink():
                status = folder.stat()
                if status.st_uid == os.getuid() and status.st_mode & 0o077 == 0:
                    return
        candidates = (tempfile.gettempdir(), "/tmp")  # noqa: S108 - mkdtemp makes a folder of our own in it
        base = next((path for path in candidates if _is_good_for_sockets(f"{path}/paddock-12345678")), None)
        folder = Path(tempfile.mkdtemp(prefix="paddock-", dir=base))
        draft = note.with_suffix(".new")
        draft.write_text(f"{folder / 'valkey.sock'}\n", encoding="utf-8")
        draft.replace(note)

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Held while a stack is started or stopped in this folder; a second command waits its turn."""
        with (self.var / "stack.lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("Another command is starting or stopping the stack; waiting for it ...")
                fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def is_up(self) -> bool:
        """Whether a process runner listens in this folder."""
        with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as probe:
            probe.settimeout(2)
            try:
                probe.connect(str(self.control_socket))
            except OSError:  # no such file, nobody behind it, or a path too long before the folder is made
                return False
            return True


@dataclass(frozen=True)
class Running:
    """What a started stack notes for the commands that come after it."""

    url: str
    flower_url: str
    ollama_hosts: tuple[str, ...]
    simulated: bool

    def write(self, places: Places) -> None:
        places.note.write_text(json.dumps(asdict(self)) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, places: Places) -> "Running | None":
        """The note of the running stack; None where it has not got so far."""
        try:
            noted = json.loads(places.note.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        return cls(**{**noted, "ollama_hosts": tuple(noted["ollama_hosts"])})
