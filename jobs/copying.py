"""Copying all rows of a database into another one."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Insert,
    Integer,
    Select,
    Table,
    Text,
    bindparam,
    cast,
    func,
    insert,
    select,
    type_coerce,
)
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
        sequences: Where the numbers of a table's new rows come from besides its column's own sequence.
        on_rows: Told how many rows each batch had.
    """
    for table in tables:
        found = source.execution_options(yield_per=BATCH_ROWS).execute(_read(table))
        for rows in found.partitions():
            target.execute(_write(table), [_values(table, row) for row in rows])
            on_rows(len(rows))
        _continue_numbers(target, table, sequences.get(table.name))


def _is_json(column: Column[Any]) -> bool:
    return isinstance(column.type, JSON)


def _read(table: Table) -> Select[Any]:
    # JSON goes as its text: read as values, JSON's null and no value would be the same.
    return select(*(type_coerce(each, Text) if _is_json(each) else each for each in table.columns))


def _write(table: Table) -> Insert:
    values = {}
    for each in table.columns:
        given: Any = bindparam(f"given_{each.key}", type_=Text() if _is_json(each) else each.type)
        values[each] = cast(given, each.type) if _is_json(each) else given
    return insert(table).values(values)


def _values(table: Table, row: Any) -> dict[str, Any]:
    return {f"given_{each.key}": _without_nul(value) for each, value in zip(table.columns, row, strict=True)}


def _without_nul(value: Any) -> Any:
    """No text of Postgres can hold NUL; U+FFFD stands for it, as in the view of finished jobs."""
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}") if isinstance(value, str) else value


def _continue_numbers(connection: Connection, table: Table, sequence: str | None) -> None:
    """Postgres counts by a sequence, which knows nothing of rows that brought their number."""
    if connection.dialect.name != "postgresql":
        return
    for column in table.primary_key.columns:
        if not isinstance(column.type, Integer):
            continue
        last = connection.execute(select(func.max(column))).scalar()
        owned = select(func.pg_get_serial_sequence(f'"{table.name}"', column.name))
        for name in {sequence, connection.execute(owned).scalar()} - {None}:
            if last is not None:
                connection.execute(select(func.setval(name, last)))
