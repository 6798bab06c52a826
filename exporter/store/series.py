"""Table ``series``: the values from which the metrics are loaded at start."""

from __future__ import annotations

import json
from collections.abc import Mapping

from sqlalchemy import Connection, bindparam, delete, select

from exporter.model import SeriesKey
from exporter.store.database import Database, upsert
from exporter.store.schema import scrape_interval, series


def load_series(database: Database) -> dict[SeriesKey, float]:
    """Return all series, as they were last committed. Raises StoreError."""
    return {(row.name, tuple(json.loads(row.labels))): row.value for row in database.read(select(series))}


def load_shown(database: Database) -> dict[SeriesKey, float]:
    """Return what scrapes are shown of the series where it is not the value. Raises StoreError."""
    rows = database.read(select(series).where(series.c.shown.is_not(None)))
    return {(row.name, tuple(json.loads(row.labels))): row.shown for row in rows}


def load_scrape_interval(database: Database) -> float | None:
    """Return the longest interval of scrapes in seconds, None if none is known. Raises StoreError."""
    return next((row.seconds for row in database.read(select(scrape_interval))), None)


def save_series(
    connection: Connection, values: Mapping[SeriesKey, float | None], shown: Mapping[SeriesKey, float]
) -> None:
    """Store new values of series, and what scrapes are ``shown`` of some; None deletes a series."""
    rows = [
        {"name": name, "labels": json.dumps(labels), "value": value, "shown": shown.get((name, labels))}
        for (name, labels), value in values.items()
        if value is not None
    ]
    upsert(connection, series, rows)
    deleted = [
        {"deleted_name": name, "deleted_labels": json.dumps(labels)}
        for (name, labels), value in values.items()
        if value is None
    ]
    if deleted:
        statement = delete(series).where(
            series.c.name == bindparam("deleted_name"), series.c.labels == bindparam("deleted_labels")
        )
        connection.execute(statement, deleted)
