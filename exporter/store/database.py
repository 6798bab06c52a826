"""Opening the database: sound, ours, of a version we know, and writable; or a clear refusal.

Nothing here ever replaces a database that it cannot use: old counts are worth more than a start.
"""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from exporter.store.schema import OLDEST, REVISION, metadata, versions

BUSY_SECONDS = 5
_REVISION = re.compile(r"[0-9]{4}")
_MIGRATIONS = Path(__file__).with_name("migrations")


class StoreError(Exception):
    """The store cannot be used; the text names it, the cause, and what to do."""


def locate(url: str) -> Path:
    """Where the database at ``url`` is; its directory is made. Raises StoreError.

    Only SQLite so far: ``sqlite:///relative.db``, ``sqlite:////absolute.db``.
    """
    path = _path(url)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{path.parent}: cannot be made: {error.strerror}; see --storage.url") from error
    return path


def open_database(url: str) -> Engine:
    """The database at ``url``, checked and of today's schema; a new one where there is none.

    Raises StoreError.
    """
    path = locate(url)
    engine = _engine(url)
    try:
        with engine.connect() as connection:
            _check_sound(connection)
            revision = _revision(connection, path)
        # Only now that it is known to be ours: this writes into the file. Readers then see the last
        # commit and never wait for the writer.
        with closing(engine.raw_connection()) as raw:
            raw.cursor().execute("PRAGMA journal_mode = WAL")
        if revision is None:
            _make(engine)
        elif revision != REVISION:
            _migrate(engine)
        with engine.begin() as connection:
            # Better to learn now than at the first exit that nothing can be written.
            connection.execute(text("UPDATE alembic_version SET version_num = version_num"))
    except (DBAPIError, sqlite3.Error) as error:
        engine.dispose()
        raise StoreError(describe(path, error)) from error
    except StoreError:
        engine.dispose()
        raise
    return engine


def describe(path: Path | str, error: SQLAlchemyError | sqlite3.Error) -> str:
    """What is wrong with the database and what to do, for people."""
    cause = str(error.orig if isinstance(error, DBAPIError) else error)
    for sign, advice in _ADVICE.items():
        if sign in cause:
            return f"{path}: {cause}; {advice}"
    return f"{path}: {cause}"


_ADVICE = {
    "not a database": "it is left as it is: move it away, or name another with --storage.url",
    "malformed": "it is damaged and left as it is: restore a backup, or name another with --storage.url",
    "readonly": "make the file and its directory writable, or name another with --storage.url",
    "full": "make room; what is pending is kept and written then",
    "disk I/O error": "the disk is full or failing: make room, or read the kernel's log",
    "unable to open": "does its directory exist, and may this user write there? See --storage.url",
    "locked": "another process is writing to it; one exporter per database",
}


def _path(url: str) -> Path:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StoreError(
            f"{url!r} is not a database URL; for instance sqlite:////var/lib/exits.db"
        ) from error
    if parsed.drivername != "sqlite" or parsed.query or not _is_file(parsed.database):
        raise StoreError(
            f"{url!r}: only a SQLite file is supported; for instance sqlite:////var/lib/exits.db"
        )
    return Path(parsed.database or "")


def _is_file(database: str | None) -> bool:
    return bool(database) and database != ":memory:" and not str(database).startswith("file:")


def _engine(url: str) -> Engine:
    engine = create_engine(
        url,
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
        # A question never waits for another: there are no more of them at once than the server has threads.
        max_overflow=-1,
    )
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "begin", _begin)
    return engine


def _set_up(connection: sqlite3.Connection, _record: Any) -> None:
    # Python's driver would commit before DDL, so that half a migration could stay; we begin ourselves.
    connection.isolation_level = None
    # A commit is on disk when it returns.
    connection.execute("PRAGMA synchronous = FULL")
    # Of the pages that it keeps for each connection; the system keeps them once for all.
    connection.execute("PRAGMA cache_size = -256")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _check_sound(connection: Connection) -> None:
    verdict = connection.execute(text("PRAGMA quick_check(1)")).scalar_one()
    if verdict != "ok":
        raise StoreError(f"{connection.engine.url.database}: malformed: {verdict}; {_ADVICE['malformed']}")


def _revision(connection: Connection, path: Path) -> str | None:
    """The schema's revision; None for an empty database. Refuses what is not ours or newer."""
    tables = set(inspect(connection).get_table_names())
    # Empty, or rolled back to before the first migration, it has at most Alembic's own table.
    ours = tables <= {versions.name} or {versions.name, *OLDEST} <= tables
    asked = ours and versions.name in tables
    revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar() if asked else None
    if tables <= {versions.name} and revision is None:
        return None
    if not isinstance(revision, str) or not _REVISION.fullmatch(revision):
        raise StoreError(f"{path}: is a database of something else; name another with --storage.url")
    if revision > REVISION:
        raise StoreError(
            f"{path}: was written by a newer version (schema {revision}, this one knows {REVISION}); "
            "run that version, or name another with --storage.url"
        )
    return revision


def _make(engine: Engine) -> None:
    """Today's tables, in one step: what all migrations come to, which a test holds them to."""
    with engine.begin() as connection:
        metadata.create_all(connection)
        versions.create(connection, checkfirst=True)
        connection.execute(versions.insert().values(version_num=REVISION))


def _migrate(engine: Engine) -> None:
    # Alembic costs 10 MB for as long as the process lives: only an older database needs it.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
