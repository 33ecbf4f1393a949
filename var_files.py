"""
What Paddock keeps in its folder `var/` besides data: secrets made at the first start, the socket's path.

    secret.key            signs cookies
    admin.key             the first admin's API key
    flower.password       opens Flower
    valkey.socket-path    where the embedded Valkey's socket is, where the path of `var/` is no good for one
"""

import contextlib
import os
import secrets
from pathlib import Path

SECRET_KEY_FILE = "secret.key"  # noqa: S105 - names a file
ADMIN_KEY_FILE = "admin.key"
FLOWER_PASSWORD_FILE = "flower.password"  # noqa: S105 - names a file
SOCKET_PATH_FILE = "valkey.socket-path"


def socket_path(var_dir: Path) -> Path:
    """The embedded Valkey's socket: under `var/`, or where the stack noted it, that path being no good."""
    note = var_dir / SOCKET_PATH_FILE
    try:
        return Path(note.read_text(encoding="utf-8").strip())
    except FileNotFoundError:
        return var_dir / "valkey.sock"


def read_or_make_secret(path: Path) -> str:
    """
    A secret kept in a file that only its owner reads; made at the first call.

    Two processes that start together get the same one: whoever links its file first wins.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(secrets.token_urlsafe(32) + "\n")
            with contextlib.suppress(FileExistsError):  # another process was first; its secret counts
                path.hardlink_to(draft)
        finally:
            draft.unlink()
    return path.read_text(encoding="utf-8").strip()
