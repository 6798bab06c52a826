"""The store: jobs, series, cursors and the outbox in one database."""

from exporter.store.changes import JobChange
from exporter.store.errors import StoreError
from exporter.store.job_pages import JobFilter, Position, RecordPage
from exporter.store.jobs import MIN_ID_DIGITS, AmbiguousKeyError
from exporter.store.outbox import Outbox, OutboxEntry, OutboxUpdate
from exporter.store.recent_exits import IntervalCount, RecentExits
from exporter.store.runs import Run, RunsBeside
from exporter.store.store import Batch, Store
from exporter.store.time_span import TimeSpan

__all__ = [
    "MIN_ID_DIGITS",
    "AmbiguousKeyError",
    "Batch",
    "IntervalCount",
    "JobChange",
    "JobFilter",
    "Outbox",
    "OutboxEntry",
    "OutboxUpdate",
    "Position",
    "RecentExits",
    "RecordPage",
    "Run",
    "RunsBeside",
    "Store",
    "StoreError",
    "TimeSpan",
]
