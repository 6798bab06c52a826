"""The store: jobs and series, durable and exact."""

from exporter.store.database import StoreError
from exporter.store.jobs import Batch, JobFilter, Store
from exporter.store.outbox import Outbox, OutboxEntry, OutboxUpdate
from exporter.store.series import Key

__all__ = ["Batch", "JobFilter", "Key", "Outbox", "OutboxEntry", "OutboxUpdate", "Store", "StoreError"]
