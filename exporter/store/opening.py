"""Open a database file: check it, create or migrate its tables, or refuse it with a clear error.

A database that cannot be used is never replaced: old counts are worth more than a start.
"""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, cast

import msgspec
from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.exc import DBAPIError

from exporter.store.database import ADVICE_AT_OPENING, describe
from exporter.store.errors import StoreError
from exporter.store.index_hints import write_index_hints
from exporter.store.integrity import find_damage
from exporter.store.migrating import OnStep, migrate
from exporter.store.private_files import create_directories, create_file, take_from_others
from exporter.store.schema import FIRST_TABLES, REVISION, alembic_version, metadata

BUSY_SECONDS = 5
WAL_BYTES = 4 << 20
# Reading more takes longer than a start may take.
CHECKED_AT_START_BYTES = 32 << 20
_REVISION = re.compile(r"[0-9]{4}")


def create_directory(path: Path) -> None:
    """Create the directory of a database. Raises StoreError."""
    try:
        create_directories(path.parent)
    except OSError as error:
        raise StoreError(f"{path.parent}: cannot be created: {error.strerror}") from error


def is_checked_at_start(path: Path) -> bool:
    """Return whether a database is so small that it is read as a whole when it is opened."""
    try:
        return path.stat().st_size <= CHECKED_AT_START_BYTES
    except OSError:
        # What keeps it from being read is said where it is opened.
        return True


def open_engine(path: Path, on_step: OnStep = lambda _step: None) -> Engine:
    """Return an engine for a database of today's schema; the file is created if there is none.

    A large one is not checked as a whole: that takes as long as reading the file. Raises StoreError.
    """
    # What keeps it from being created is said where it is opened.
    with suppress(OSError):
        create_file(path)
    engine = sqlite_engine(path)
    try:
        if is_checked_at_start(path):
            _refuse_damaged(engine)
        with engine.connect() as connection:
            revision = _read_revision(connection, path)
        # Only after the check that it is ours: this changes the file. In WAL mode, readers see the last
        # commit and never wait for the writer.
        take_from_others(path)
        with closing(engine.raw_connection()) as raw:
            raw.cursor().execute("PRAGMA journal_mode = WAL")
        if revision is None:
            _create_schema(engine)
        elif revision != REVISION:
            migrate(engine, revision, on_step)
        with engine.begin() as connection:
            # A write that changes nothing: a read-only database is found now, not at the first exit.
            connection.execute(text("UPDATE alembic_version SET version_num = version_num"))
    except (DBAPIError, sqlite3.Error) as error:
        engine.dispose()
        raise StoreError(describe(path, error, ADVICE_AT_OPENING)) from error
    except StoreError:
        engine.dispose()
        raise
    return engine


def sqlite_engine(path: Path) -> Engine:
    """Return an engine for a database file, which is neither opened nor checked yet."""
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
        # A query never waits for another: there are at most as many as the web server has threads.
        max_overflow=-1,
        # A page of jobs has thousands of arrays, nearly all of which are empty.
        json_deserializer=msgspec.json.decode,
    )
    write_index_hints(engine)
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    return engine


def _configure(connection: sqlite3.Connection, _record: Any) -> None:
    # Python's driver commits before DDL, so half a migration could stay; _begin starts transactions instead.
    connection.isolation_level = None
    # A commit is on disk when it returns.
    connection.execute("PRAGMA synchronous = FULL")
    # What the write-ahead log took beyond this is given back once it is written to the database.
    connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
    # Page cache of each connection, in KiB; the system caches the file for all of them.
    connection.execute("PRAGMA cache_size = -256")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _refuse_damaged(engine: Engine) -> None:
    with closing(engine.raw_connection()) as raw:
        if damage := find_damage(cast("sqlite3.Connection", raw.driver_connection)):
            raise sqlite3.DatabaseError(damage)


def _read_revision(connection: Connection, path: Path) -> str | None:
    """Return the revision of the schema, None for an empty database.

    Raises StoreError if the database is not ours, or was written by a newer version.
    """
    tables = set(inspect(connection).get_table_names())
    # If empty, or rolled back to before the first migration, it has at most Alembic's own table.
    is_empty = tables <= {alembic_version.name}
    is_ours = is_empty or {alembic_version.name, *FIRST_TABLES} <= tables
    revision = None
    if is_ours and alembic_version.name in tables:
        revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if is_empty and revision is None:
        return None
    if not isinstance(revision, str) or not _REVISION.fullmatch(revision):
        raise StoreError(f"{path}: is not a database of exit-exporter; use another file")
    if revision > REVISION:
        raise StoreError(
            f"{path}: was written by a newer version (schema {revision}, this version supports {REVISION}); "
            "run that version or use another file"
        )
    return revision


def _create_schema(engine: Engine) -> None:
    """Create today's tables in one step; a test compares them with the result of all migrations."""
    with engine.begin() as connection:
        metadata.create_all(connection)
        alembic_version.create(connection, checkfirst=True)
        connection.execute(alembic_version.insert().values(version_num=REVISION))
