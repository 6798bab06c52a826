"""The store: jobs, series, cursors and the outbox in one database."""

from exporter.store.errors import StoreError
from exporter.store.jobs import JobFilter
from exporter.store.outbox import Outbox, OutboxEntry, OutboxUpdate
from exporter.store.store import Batch, Store

__all__ = ["Batch", "JobFilter", "Outbox", "OutboxEntry", "OutboxUpdate", "Store", "StoreError"]
