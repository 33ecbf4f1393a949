"""Copying all rows of a database into another one."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Table, func, insert, select
from sqlalchemy.engine import Connection

BATCH_ROWS = 1000


def count_rows(connection: Connection, tables: Iterable[Table]) -> dict[str, int]:
    """How many rows each table has."""
    return {
        table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
        for table in tables
    }


def copy_rows(
    source: Connection,
    target: Connection,
    tables: Sequence[Table],
    *,
    sequences: Mapping[str, str],
    on_rows: Callable[[int], None],
) -> None:
    """
    Copy all rows, in the order of the tables: those that others refer to come first.

    Args:
        target: In a transaction; nothing is kept of a copy that does not come to its end.
        sequences: Where the numbers of a table's new rows come from, by the table's name.
        on_rows: Told how many rows each batch had.
    """
    for table in tables:
        found = source.execution_options(yield_per=BATCH_ROWS).execute(select(table))
        for rows in found.mappings().partitions():
            target.execute(insert(table), [_by_key(table, row) for row in rows])
            on_rows(len(rows))
        _continue_numbers(target, table, sequences.get(table.name))


def _by_key(table: Table, row: Any) -> dict[str, Any]:
    return {column.key: row[column] for column in table.columns}


def _continue_numbers(connection: Connection, table: Table, sequence: str | None) -> None:
    """Postgres counts by a sequence, which knows nothing of rows that brought their number."""
    if connection.dialect.name != "postgresql" or sequence is None:
        return
    for column in table.primary_key.columns:
        last = connection.execute(select(func.max(column))).scalar()
        owned = select(func.pg_get_serial_sequence(f'"{table.name}"', column.name))
        for name in {sequence, connection.execute(owned).scalar()} - {None}:
            if last is not None:
                connection.execute(select(func.setval(name, last)))
