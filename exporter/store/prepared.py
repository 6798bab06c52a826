"""Inserts that every exit makes, compiled once: SQLAlchemy takes longer for a row than SQLite does."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.sqlite import Insert, insert

# As many as any SQLite takes in one statement.
MAX_PARAMETERS = 999


class PreparedInsert:
    """Insert of some columns, whose values SQLite stores as they are: JSON is text, an enum its value."""

    def __init__(self, statement: Insert, columns: Collection[str]) -> None:
        # The order in which a statement names them.
        names = [column.name for column in statement.table.c if column.name in columns]
        self._values = itemgetter(*names)
        self._rows = MAX_PARAMETERS // len(names)
        self._of_one = str(statement.values(dict.fromkeys(names)).compile(dialect=sqlite.dialect()))
        # Not compiled by SQLAlchemy, which takes tens of milliseconds of each start for it.
        row = f"({', '.join('?' * len(names))})"
        self._of_many = self._of_one.replace(row, ", ".join([row] * self._rows), 1)

    def execute(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows. Raises SQLAlchemyError.

        Other threads run while SQLite works on a statement, and are interrupted at its end: for each row of
        its own, that would cost more than the row.
        """
        values = [*map(self._values, rows)]
        rest = len(values) % self._rows
        for begin in range(0, len(values) - rest, self._rows):
            together = chain.from_iterable(values[begin : begin + self._rows])
            connection.exec_driver_sql(self._of_many, tuple(together))
        if rest:
            connection.exec_driver_sql(self._of_one, values[-rest:])


def prepared_upsert(table: Any) -> PreparedInsert:
    """Return an insert of whole rows that replaces those with the same keys."""
    return PreparedInsert(upsert_into(table), table.c.keys())


def upsert_into(table: Any) -> Insert:
    """Return the statement that inserts a row, or replaces the row that has the same keys."""
    statement = insert(table)
    keys = [column.name for column in table.primary_key]
    changes = {column.name: statement.excluded[column.name] for column in table.c if column.name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=changes)
