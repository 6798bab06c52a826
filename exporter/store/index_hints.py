"""SQLite's ``INDEXED BY`` in statements: SQLAlchemy leaves hints out for SQLite."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler


class _Compiler(SQLiteCompiler):
    def get_from_hint_text(self, _table: Any, text: str | None) -> str | None:
        return text


def write_index_hints(engine: Engine) -> None:
    """Let the statements of an engine have the hints that their tables are given by ``with_hint``."""
    engine.dialect.statement_compiler = _Compiler
