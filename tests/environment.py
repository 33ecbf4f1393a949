"""
Settings for the whole test run: imported before `settings`, so that no test meets the user's own.

PADDOCK_TEST_DATABASE=postgres runs everything on a real Postgres instead of SQLite. Other variables that
begin with PADDOCK_TEST_ are counts of single tests, which say so themselves.
"""

import atexit
import itertools
import os
import shutil
import tempfile
from pathlib import Path

FOLDER = Path(tempfile.mkdtemp(prefix="pdk", dir="/tmp"))  # short: a socket's path may have 100 bytes
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)

for name in list(os.environ):
    if name.startswith(("PADDOCK_", "OLLAMA_")) and not name.startswith("PADDOCK_TEST_"):
        del os.environ[name]
os.environ.pop("DATABASE_URL", None)
os.environ.pop("REDIS_URL", None)
os.environ["PADDOCK_VAR"] = str(FOLDER)
_numbers = itertools.count(1)
_server = None
if os.environ.get("PADDOCK_TEST_DATABASE") == "postgres":
    from tests.support.postgres import Postgres  # late: most runs need no server of their own here

    _server = Postgres()
    atexit.register(_server.close)
    os.environ["DATABASE_URL"] = _server.create_database("paddock")


def new_database(folder: Path) -> str:
    """The URL of an empty database of the kind under test: a file in this folder, or on the run's server."""
    if _server is None:
        return f"sqlite:///{folder / 'paddock.db'}"
    return _server.create_database(f"own{next(_numbers)}")
