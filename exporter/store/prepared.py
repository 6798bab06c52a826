"""Inserts that every exit makes, compiled once: SQLAlchemy takes longer for a row than SQLite does."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.sqlite import Insert, insert


class PreparedInsert:
    """Insert of some columns, whose values SQLite stores as they are: JSON is text, an enum its value."""

    def __init__(self, statement: Insert, columns: Collection[str]) -> None:
        # The order in which a statement names them.
        names = [column.name for column in statement.table.c if column.name in columns]
        self._sql = str(statement.compile(dialect=sqlite.dialect(), column_keys=names))
        self._values = itemgetter(*names)

    def execute(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows in one statement. Raises SQLAlchemyError."""
        if rows:
            connection.exec_driver_sql(self._sql, [*map(self._values, rows)])


def prepared_upsert(table: Any) -> PreparedInsert:
    """Return an insert of whole rows that replaces those with the same keys."""
    return PreparedInsert(upsert_into(table), table.c.keys())


def upsert_into(table: Any) -> Insert:
    """Return the statement that inserts a row, or replaces the row that has the same keys."""
    statement = insert(table)
    keys = [column.name for column in table.primary_key]
    changes = {column.name: statement.excluded[column.name] for column in table.c if column.name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=changes)
