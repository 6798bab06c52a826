"""The table ``series``: the truth from which the metrics are loaded at start."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, bindparam, delete, select

from exporter.store.access import Access, upsert
from exporter.store.schema import series

Key = tuple[str, tuple[str, ...]]


def load(access: Access) -> dict[Key, float]:
    """All series, as they were last committed. Raises StoreError."""
    return {(row.name, tuple(json.loads(row.labels))): row.value for row in access.read(select(series))}


def save(connection: Connection, values: Mapping[Key, float | None]) -> None:
    """Give series their new values; None ends them."""
    lines = [
        {"name": name, "labels": json.dumps(labels), "value": value}
        for (name, labels), value in values.items()
        if value is not None
    ]
    upsert(connection, series, lines)
    _end(connection, [key for key, value in values.items() if value is None])


def _end(connection: Connection, keys: Iterable[Key]) -> None:
    gone = [{"its_name": name, "its_labels": json.dumps(labels)} for name, labels in keys]
    if gone:
        one = delete(series).where(
            series.c.name == bindparam("its_name"), series.c.labels == bindparam("its_labels")
        )
        connection.execute(one, gone)
