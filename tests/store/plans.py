"""How SQLite runs the queries of the store."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, event

from exporter.store import Store


def plans_of(store: Store, read: Callable[[], object]) -> list[str]:
    """Return the steps of all queries that a function makes of a store."""
    statements = statements_of(store, read)
    with store._database._engine.connect() as connection:
        return [
            str(step.detail)
            for statement, parameters in statements
            for step in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        ]


def statements_of(store: Store, read: Callable[[], object]) -> list[tuple[str, Any]]:
    """Return all statements that a function makes of a store, with their parameters."""
    statements: list[tuple[str, Any]] = []

    def keep(_connection: Connection, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        statements.append((statement, parameters))

    engine = store._database._engine
    event.listen(engine, "before_cursor_execute", keep)
    read()
    event.remove(engine, "before_cursor_execute", keep)
    return statements
