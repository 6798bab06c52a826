"""The store: jobs and series, durable and exact."""

from exporter.store.database import StoreError
from exporter.store.outbox import Letter, Outbox, Settlement
from exporter.store.records import Batch, JobFilter, Store
from exporter.store.series import Key

__all__ = ["Batch", "JobFilter", "Key", "Letter", "Outbox", "Settlement", "Store", "StoreError"]
