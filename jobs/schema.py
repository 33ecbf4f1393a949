"""
Which version the database's tables have, and which versions this code knows.

Without alembic, which takes as long to import as all the rest that a start looks at.
"""

import sys
from pathlib import Path

from sqlalchemy import inspect, text
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import SQLAlchemyError

from jobs.database import Database

_VERSIONS = Path(__file__).resolve().parent.parent / "migrations" / "versions"
VERSION_TABLE = "alembic_version"


class DatabaseTooNew(Exception):
    """A newer Paddock has migrated the database. No client is ever told: nothing starts on such a one."""

    def __init__(self, stored: str, newest_known: str) -> None:
        super().__init__(
            f"the database is at version {stored}, and this Paddock knows versions up to {newest_known}: "
            "start the Paddock that migrated it, or a newer one"
        )


def known_revisions() -> list[str]:
    """Every revision that a migration of this code makes, oldest first; their files begin with it."""
    return sorted(path.name.partition("_")[0] for path in _VERSIONS.glob("[0-9]*_*.py"))


def stored_revision(connection: Connection) -> str | None:
    """The revision of a database's tables; None where no migration has run."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608
    return None if found is None else str(found)


def sqlite_file(url: str) -> Path | None:
    """Where a SQLite database is; None for another kind."""
    parsed = make_url(url)
    is_sqlite = parsed.get_backend_name() == "sqlite" and parsed.database
    return Path(str(parsed.database)) if is_sqlite else None


def refuse_newer(connection: Connection) -> None:
    """
    Whether this code knows the database's version.

    Raises:
        DatabaseTooNew: it does not, so a newer Paddock has migrated it.
    """
    stored, known = stored_revision(connection), known_revisions()
    if stored is not None and stored not in known:
        raise DatabaseTooNew(stored, known[-1])


def end_if_newer(url: str) -> None:
    """
    Before a process starts: a database that is newer than the code ends it, with one line and status 2.

    A database that can't be reached is no hindrance: it is waited for like any outage.
    """
    file = sqlite_file(url)
    if file is not None and not file.exists():  # or looking would make it
        return
    database = Database.connect(url, pooled=False)
    try:
        with database.reading() as session:
            refuse_newer(session.connection())
    except SQLAlchemyError:
        return
    except DatabaseTooNew as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(2) from None
    finally:
        database.close()
