"""
The statements of the hot path, compiled once and run on the driver.

SQLAlchemy does the compiling, the types, the transaction and the pool. To run a statement through it
takes ten times as many calls as the driver's part, and every job is some six statements.
"""

from collections import namedtuple
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Dialect
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler

Process = Callable[[Any], Any]


class _Rows(NamedTuple):
    """How the driver's rows become ours."""

    make: Callable[[list[Any]], Any]
    columns: list[tuple[int, Process]]  # those that are something else in Python


@dataclass(slots=True)
class _Plan:
    """What is known of a statement on one kind of database before its values are."""

    dialect: Dialect
    sql: str
    given: list[tuple[str, Process | None]]  # the parameters
    constants: dict[str, Any]  # the statement's own values, as the driver takes them
    order: list[str] | None  # of the values, for a driver that wants them in a row
    rows: _Rows | None = None  # since the first ones came: a type may depend on what the driver calls it


class Prepared:
    """
    A statement whose parameters are all named.

    Args:
        statement: Without `IN` over a parameter, whose SQL would depend on its value.
    """

    def __init__(self, statement: Any) -> None:
        self._statement = statement
        self._columns = list(statement.exported_columns)
        self._plans: dict[str, _Plan] = {}

    def run(self, connection: Connection, values: Mapping[str, Any]) -> list[Any]:
        """
        Run it in the connection's transaction.

        Args:
            values: Of its parameters, by name.

        Returns:
            Its rows, each with its columns as attributes; none of a statement that returns nothing.

        Raises:
            SQLAlchemyError: as it would say itself.
        """
        dialect = connection.dialect
        plan = self._plans.get(dialect.name) or self._plan(dialect)
        processed = plan.constants.copy()
        for name, process in plan.given:
            processed[name] = values[name] if process is None else process(values[name])
        parameters = processed if plan.order is None else [processed[name] for name in plan.order]
        raw: Any = connection.connection
        try:
            cursor = raw.cursor()
            try:
                cursor.execute(plan.sql, parameters)
                if not self._columns:
                    return []
                rows = cursor.fetchall()
                to = plan.rows or self._see(plan, cursor.description)
            finally:
                cursor.close()
        except dialect.loaded_dbapi.Error as error:
            raise _translated(error, connection, plan.sql) from error
        return [_row(row, to) for row in rows]

    def one_or_none(self, connection: Connection, values: Mapping[str, Any]) -> Any:
        """Its only row, or None."""
        rows = self.run(connection, values)
        return rows[0] if rows else None

    def scalar(self, connection: Connection, values: Mapping[str, Any]) -> Any:
        """The first column of its first row; None: there is none."""
        rows = self.run(connection, values)
        return rows[0][0] if rows else None

    def _plan(self, dialect: Dialect) -> _Plan:
        """At the first run, not before: only a connection tells a dialect everything about its database."""
        compiled: SQLCompiler = self._statement.compile(dialect=dialect)
        constants: dict[str, Any] = {}
        given: list[tuple[str, Process | None]] = []
        for bind, name in compiled.bind_names.items():
            process = bind.type.dialect_impl(dialect).bind_processor(dialect)
            if bind.required:
                given.append((name, process))
            else:
                value = bind.effective_value
                constants[name] = value if process is None else process(value)
        order = None if compiled.positiontup is None else list(compiled.positiontup)
        plan = _Plan(dialect, compiled.string, given, constants, order)
        self._plans[dialect.name] = plan
        return plan

    def _see(self, plan: _Plan, description: Any) -> _Rows:
        """What the driver says of the columns."""
        columns = []
        for place, (column, described) in enumerate(zip(self._columns, description, strict=True)):
            process = column.type.dialect_impl(plan.dialect).result_processor(plan.dialect, described[1])
            if process is not None:
                columns.append((place, process))
        names = [column.key for column in self._columns]
        row: Any = namedtuple("Row", names, rename=True)  # type: ignore[misc]  # some have no name
        plan.rows = _Rows(row._make, columns)
        return plan.rows


def _row(row: Any, to: _Rows) -> Any:
    found = list(row)
    for place, process in to.columns:
        found[place] = process(found[place])
    return to.make(found)


def _translated(error: Exception, connection: Connection, sql: str) -> BaseException:
    """The driver's error as SQLAlchemy's; a connection that it broke is not used again."""
    dialect = connection.dialect
    is_lost = dialect.is_disconnect(error, connection.connection, None)  # type: ignore[arg-type]
    if is_lost:
        connection.invalidate(error)
    return DBAPIError.instance(
        sql,
        None,
        error,
        dialect.loaded_dbapi.Error,
        hide_parameters=True,
        connection_invalidated=is_lost,
        dialect=dialect,
    )
