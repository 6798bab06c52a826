"""Notices that the file of the database was deleted or replaced, or is written to by others."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from exporter.periodic_thread import PeriodicThread
from exporter.store import Store

log = structlog.get_logger(__name__)

INTERVAL_SECONDS = 1.0


class FileCheck(PeriodicThread):
    """Thread that calls ``on_loss``, once, when the path no longer leads to the file that is in use.

    What is written then is lost. It calls ``on_change`` when another process has written to the file: SQLite,
    in order, or one that has copied another database over it; again later if that returns False.
    """

    def __init__(self, store: Store, on_loss: Callable[[], None], on_change: Callable[[], bool]) -> None:
        super().__init__("database file", INTERVAL_SECONDS, self._check)
        self._store = store
        self._on_loss = on_loss
        self._on_change = on_change
        self._is_changed = False

    def _check(self) -> None:
        if not self._store.is_in_place:
            log.error("the database was deleted or replaced while in use; stopping", path=self._store.path)
            self._on_loss()
            self.stop()
            return
        self._is_changed |= self._store.was_changed_by_another()
        self._is_changed = self._is_changed and not self._on_change()
