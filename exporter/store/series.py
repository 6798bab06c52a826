"""The table ``series``: the truth from which the metrics are loaded at start."""

from __future__ import annotations

import json
from collections.abc import Mapping

from sqlalchemy import Connection, select

from exporter.store.access import Access, upsert
from exporter.store.schema import series

Key = tuple[str, tuple[str, ...]]


def load(access: Access) -> dict[Key, float]:
    """All series, as they were last committed. Raises StoreError."""
    return {(row.name, tuple(json.loads(row.labels))): row.value for row in access.read(select(series))}


def save(connection: Connection, values: Mapping[Key, float]) -> None:
    """Give series their new values."""
    lines = [
        {"name": name, "labels": json.dumps(labels), "value": value}
        for (name, labels), value in values.items()
    ]
    upsert(connection, series, lines)
