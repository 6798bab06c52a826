"""Reads a database beside the work, to find out whether its file is damaged."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import structlog

from exporter.store import Store
from exporter.store.database import describe
from exporter.store.integrity import find_damage
from exporter.store.read_ahead import read_ahead

log = structlog.get_logger(__name__)

_INTERRUPT_SECONDS = 0.05
# To read a database of gigabytes takes long: the checks take a tenth of all time at most.
_REST_FACTOR = 10


class IntegrityCheck:
    """Checks a database, in a thread of its own, and calls ``on_damage`` if the file is damaged."""

    def __init__(self, store: Store, on_damage: Callable[[], None]) -> None:
        self._store = store
        self._on_damage = on_damage
        self._stopping = threading.Event()
        self._connection: sqlite3.Connection | None = None
        self._thread = self._make_thread()
        self._rests_until = 0.0
        self.found_damage = False

    def start(self) -> None:
        """Check it if it was too large to be checked when it was opened."""
        if not self._store.was_checked:
            self.check()

    def check(self) -> bool:
        """Begin to check it; return False if that is under way, or was done a moment ago."""
        if self._thread.is_alive() or self._stopping.is_set() or time.monotonic() < self._rests_until:
            return False
        self._thread = self._make_thread()
        try:
            self._thread.start()
        except RuntimeError as error:
            # At a limit of threads.
            log.warning("the database could not be checked", cause=str(error))
            return False
        return True

    def stop(self) -> None:
        """Check no longer, and return when the file is no longer read."""
        self._stopping.set()
        while self._thread.is_alive():
            if self._connection is not None:
                # It may have been closed just now.
                with suppress(sqlite3.ProgrammingError):
                    self._connection.interrupt()
            self._thread.join(_INTERRUPT_SECONDS)

    def _make_thread(self) -> threading.Thread:
        return threading.Thread(target=self._run, name="integrity check", daemon=True)

    def _run(self) -> None:
        began = time.monotonic()
        try:
            damage = self._check()
        except sqlite3.Error as error:
            if not self._stopping.is_set():
                log.warning("the database could not be checked", cause=describe(self._store.path, error))
            return
        finally:
            ended = time.monotonic()
            self._rests_until = ended + _REST_FACTOR * (ended - began)
        if damage is None:
            log.info("the database was checked and is not damaged", path=self._store.path)
            return
        self.found_damage = True
        log.error(
            "the database is damaged: restore a backup or use another file; stopping",
            path=self._store.path,
            cause=damage,
        )
        self._on_damage()

    def _check(self) -> str | None:
        path = Path(self._store.path).absolute()
        # What keeps it from being read is said by the check.
        with suppress(OSError):
            read_ahead(path, self._stopping)
        address = f"{path.as_uri()}?mode=ro"
        with closing(sqlite3.connect(address, uri=True)) as connection:
            self._connection = connection
            return find_damage(connection)
