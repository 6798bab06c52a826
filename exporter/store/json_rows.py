"""Rows of values as a table of a query: one parameter, however many there are."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import CTE, bindparam, func, select


def table_of(name: str, columns: Sequence[str]) -> CTE:
    """Return a table with these columns; its rows are the parameter of the same name (``rows_of``)."""
    row = func.json_each(bindparam(name)).table_valued("value")
    values = [
        func.json_extract(row.c.value, f"$[{place}]").label(column) for place, column in enumerate(columns)
    ]
    # SQLite has known this hint since 3.35; without it, the answers are the same.
    hints = ["MATERIALIZED"] if sqlite3.sqlite_version_info >= (3, 35) else []
    return select(*values).cte(name).prefix_with(*hints)


def rows_of(rows: Sequence[tuple[Any, ...]]) -> str:
    """Return the parameter for a table with these rows; each value is what JSON has."""
    return msgspec.json.encode(rows).decode()
