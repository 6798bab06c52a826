"""Reads for those who ask over the network: none takes long, or goes on when the daemon stops."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine

from exporter.store.database import Database

QUERY_SECONDS = 10.0
# Steps of SQLite's virtual machine between two looks at the clock: less than a millisecond.
_STEPS = 10_000


class TimedReads(Database):
    """The reads of a database; each ends with a StoreError after ``seconds``, or when all are interrupted."""

    def __init__(self, engine: Engine, seconds: float = QUERY_SECONDS) -> None:
        super().__init__(engine)
        self._seconds = seconds
        self._interrupted = threading.Event()

    def interrupt(self) -> None:
        """End all reads, and all that begin later; may be called from any thread."""
        self._interrupted.set()

    @contextmanager
    def _limits(self, connection: Connection) -> Iterator[None]:
        ends = time.monotonic() + self._seconds
        driver: Any = connection.connection.dbapi_connection
        driver.set_progress_handler(lambda: self._interrupted.is_set() or time.monotonic() > ends, _STEPS)
        try:
            yield
        finally:
            # The connection goes back to the pool, and then to others.
            driver.set_progress_handler(None, _STEPS)
