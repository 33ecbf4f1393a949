"""Databases with all tables, for tests: made once, emptied or copied for each of them."""

import shutil
from pathlib import Path

from celery.backends.database.session import ResultModelBase
from sqlalchemy import text

from jobs.database import Database
from jobs.models import Base


def create_tables(database: Database) -> None:
    """All tables as the models have them, and Celery's own for the results of other tasks."""
    with database.transaction() as connection:
        Base.metadata.create_all(connection)
        ResultModelBase.metadata.create_all(connection)


class SqliteTemplate:
    """A file with empty tables; copying it is several times as fast as making them."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "template.db"
        database = Database.connect(f"sqlite:///{self._file}")
        create_tables(database)
        database.close()  # which also moves everything from the WAL into the file

    def copy_to(self, file: Path) -> str:
        """A test's own file; returns its URL."""
        return f"sqlite:///{shutil.copy(self._file, file)}"

    def copy(self, folder: Path) -> Database:
        """A database of a test's own."""
        return Database.connect(self.copy_to(folder / "test.db"))


def delete_everything(database: Database) -> None:
    """Empty every table."""
    with database.transaction() as connection:
        for table in reversed([*Base.metadata.sorted_tables, *ResultModelBase.metadata.sorted_tables]):
            connection.execute(text(f'DELETE FROM "{table.name}"'))
