"""Connections to one database: used from any thread, one writer at a time, errors as StoreError."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from exporter.store.errors import StoreError
from exporter.store.prepared import upsert_into

_ADVICE = {
    "not a database": "it is left unchanged: move it away or use another file",
    "malformed": "it is damaged and left unchanged: restore a backup or use another file",
    "readonly": "make the file and its directory writable, or use another file",
    "full": "free some space; pending data is kept and written then",
    "disk I/O error": "the disk is full or failing: free some space, or check the kernel log",
    "unable to open": "check that its directory exists and that this user may write to it",
    "interrupted": "the answer takes too long: ask for less, such as a shorter time",
    "locked": "another process is writing to it; only one exporter may use a database",
}
# Nothing is pending yet, and a migration that fails changes nothing.
ADVICE_AT_OPENING = _ADVICE | {"full": "free some space, then start again; the database is as it was"}

# Page cache of the connection for writing. A batch of exits changes many pages of each index: with less, they
# are written and read again within one transaction.
WRITER_CACHE_KIB = 2048


class Database:
    """Reads and writes until it is closed. Every method may raise StoreError."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.path = engine.url.database or ""
        self._file = _file_at(self.path)
        # SQLite has it beside the file that a link leads to. What is committed stands there alone at first.
        self._log_path = f"{os.path.realpath(self.path)}-wal"
        # Once something was committed, and as long as the writer's connection is open.
        self._log: tuple[int, int] | None = None
        self._write_lock = threading.Lock()
        # By our last transaction, in which SQLite may have written the log to the file.
        self._modified = _modified(self.path)
        self._is_changed = False
        # Kept between transactions, for its page cache; opened by the first.
        self._writer: Connection | None = None
        self._closed = False

    def close(self) -> None:
        """Close all connections; later calls are refused, since another process may use the file by then."""
        with self._write_lock:
            self._closed = True
            self._close_writer()
            self._engine.dispose()

    @property
    def is_in_place(self) -> bool:
        """Whether its files are still those that are in use. What is written to any other is lost."""
        log = self._log
        is_log_in_place = log is None or _leads_to(self._log_path, log)
        # Its last connection takes the log away: then it was closed meanwhile.
        return _leads_to(self.path, self._file, min_bytes=1) and (is_log_in_place or self._log is not log)

    def was_changed_by_another(self) -> bool:
        """Return whether another process has written to the file since the last call.

        While a transaction is under way, that is told by a later call.
        """
        if not self._write_lock.acquire(blocking=False):
            return False
        try:
            self._look_for_changes()
            changed, self._is_changed = self._is_changed, False
        finally:
            self._write_lock.release()
        return changed

    def read(self, query: Select[Any], parameters: Mapping[str, Any] | None = None) -> Sequence[Any]:
        """Return the rows that a query finds. One that is kept and has parameters takes less time to send."""
        if self._closed:
            raise self._closed_error()
        try:
            with self._engine.connect() as connection, self._limits(connection):
                return connection.execute(query, parameters).fetchall()
        except SQLAlchemyError as error:
            raise StoreError(describe(self.path, error)) from error

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Run one write transaction; it is on disk at the end."""
        try:
            with self._write_lock:
                if self._closed:
                    raise self._closed_error()
                if not self.is_in_place:
                    raise StoreError(f"{self.path}: was deleted or replaced while in use")
                self._look_for_changes()
                try:
                    yield from self._write()
                finally:
                    self._modified = _modified(self.path)
        except SQLAlchemyError as error:
            raise StoreError(describe(self.path, error)) from error

    def _look_for_changes(self) -> None:
        before, self._modified = self._modified, _modified(self.path)
        self._is_changed |= self._modified != before

    def _write(self) -> Iterator[Connection]:
        try:
            connection = self._writer or self._open_writer()
            with connection.begin():
                yield connection
            self._log = self._log or _file_if_there(self._log_path)
        except BaseException:
            # Whatever has failed, the next transaction begins with nothing left of this one.
            self._close_writer()
            raise

    def _open_writer(self) -> Connection:
        self._writer = connection = self._engine.connect()
        # A statement with triggers keeps the pages that it changes: in a file, that takes longer than itself.
        # Not by SQLAlchemy, which begins a transaction first; within one, it cannot be changed.
        driver: Any = connection.connection.driver_connection
        driver.execute("PRAGMA temp_store = MEMORY")
        with connection.begin():
            connection.exec_driver_sql(f"PRAGMA cache_size = -{WRITER_CACHE_KIB}")
        return connection

    def _close_writer(self) -> None:
        """Close the connection for writing; not back to the pool, where its cache would serve a reader."""
        self._log = None
        if self._writer is not None:
            self._writer.invalidate()
            self._writer.close()
            self._writer = None

    def _limits(self, _connection: Connection) -> AbstractContextManager[None]:
        """Return what limits a read."""
        return nullcontext()

    def _closed_error(self) -> StoreError:
        return StoreError(f"{self.path}: is closed")


def _file_at(path: str) -> tuple[int, int]:
    """Return what identifies the file at a path. Raises OSError."""
    found = os.stat(path)  # noqa: PTH116  # for each commit; pathlib takes several times as long
    return found.st_dev, found.st_ino


def _modified(path: str) -> tuple[int, int] | None:
    """Return what differs after a write to a file; None if that cannot be known."""
    try:
        found = os.stat(path)  # noqa: PTH116  # for each commit, as above
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _file_if_there(path: str) -> tuple[int, int] | None:
    try:
        return _file_at(path)
    except OSError:
        return None


def _leads_to(path: str, file: tuple[int, int], *, min_bytes: int = 0) -> bool:
    """Return whether a path leads to a file of at least that size, as far as that can be known now."""
    try:
        found = os.stat(path)  # noqa: PTH116  # for each commit, as above
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return (found.st_dev, found.st_ino) == file and found.st_size >= min_bytes


def describe(
    path: Path | str, error: SQLAlchemyError | sqlite3.Error, advice: Mapping[str, str] = _ADVICE
) -> str:
    """Return the error as text for people: the database, the cause and what to do."""
    cause = str(error.orig if isinstance(error, DBAPIError) else error)
    what_to_do = next((text for sign, text in advice.items() if sign in cause), None)
    return f"{path}: {cause}; {what_to_do}" if what_to_do else f"{path}: {cause}"


def upsert(connection: Connection, table: Any, rows: list[dict[str, Any]]) -> None:
    """Insert rows, or replace the rows that have the same keys."""
    if rows:
        connection.execute(upsert_into(table), rows)
