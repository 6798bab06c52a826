"""One database as the store's parts use it: from any thread, one writer at a time, errors as StoreError."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, Select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import SQLAlchemyError

from exporter.store.database import StoreError, describe


class Access:
    """Reads and writes until it is closed. Every method may raise StoreError."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._path = engine.url.database or ""
        self._write = threading.Lock()
        self._closed = False

    def close(self) -> None:
        """Let go of the database; whoever is late is refused, since another process may have it by then."""
        with self._write:
            self._closed = True
            self._engine.dispose()

    def read(self, query: Select[Any]) -> Sequence[Any]:
        """The rows that a question finds."""
        if self._closed:
            raise StoreError(f"{self._path}: is closed")
        try:
            with self._engine.connect() as connection:
                return connection.execute(query).fetchall()
        except SQLAlchemyError as error:
            raise StoreError(describe(self._path, error)) from error

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction, durable at its end."""
        try:
            with self._write:
                if self._closed:
                    raise StoreError(f"{self._path}: is closed")
                with self._engine.begin() as connection:
                    yield connection
        except SQLAlchemyError as error:
            raise StoreError(describe(self._path, error)) from error


def upsert(connection: Connection, table: Any, values: list[dict[str, Any]]) -> None:
    """Insert rows, or replace what stands under their keys."""
    if not values:
        return
    statement = insert(table)
    keys = [column.name for column in table.primary_key]
    changes = {column.name: statement.excluded[column.name] for column in table.c if column.name not in keys}
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changes), values)
