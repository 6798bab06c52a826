"""What is damaged in a database file."""

from __future__ import annotations

import sqlite3

_PRIMARY_CODE = 0xFF


def find_damage(connection: sqlite3.Connection) -> str | None:
    """Read a whole database; return the first damage that is found, None if there is none.

    Raises sqlite3.Error if it cannot be read.
    """
    try:
        (result,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & _PRIMARY_CODE == sqlite3.SQLITE_CORRUPT:
            return str(error)
        raise
    return None if result == "ok" else f"malformed: {result}"
