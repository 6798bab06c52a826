"""The store: jobs, series, cursors and the outbox in one database."""

from exporter.store.errors import StoreError
from exporter.store.exit_counts import TimeSpan
from exporter.store.job_pages import JobFilter, Position, RecordPage
from exporter.store.jobs import AmbiguousKeyError
from exporter.store.outbox import Outbox, OutboxEntry, OutboxUpdate
from exporter.store.store import Batch, Store

__all__ = [
    "AmbiguousKeyError",
    "Batch",
    "JobFilter",
    "Outbox",
    "OutboxEntry",
    "OutboxUpdate",
    "Position",
    "RecordPage",
    "Store",
    "StoreError",
    "TimeSpan",
]
