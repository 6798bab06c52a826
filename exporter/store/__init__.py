"""The store: jobs and series, durable and exact."""

from exporter.store.database import StoreError
from exporter.store.records import Batch, JobFilter, Key, Store

__all__ = ["Batch", "JobFilter", "Key", "Store", "StoreError"]
