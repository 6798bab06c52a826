"""Watchdog of an event stream: a stream that is silent may be dead."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Self

from exporter.sources.docker.engine import EngineError
from exporter.sources.docker.watch.config import WatchConfig
from exporter.sources.docker.watch.connection import Connection

TICK_SECONDS = 2.0


class StreamWatchdog:
    """Thread that checks a stream at intervals, beside the thread that reads it.

    ``check`` raises EngineError if events are missing; the stream is then ended. The stream is replaced when
    it is too old, or after a standstill of this process, during which an engine drops events that nobody
    reads.
    """

    def __init__(
        self, connection: Connection, check: Callable[[Connection], None], config: WatchConfig
    ) -> None:
        self._connection = connection
        self._check_stream = check
        self._config = config
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # The thread is not joined: it may wait for an engine that does not answer.
        self._over.set()

    def _run(self) -> None:
        interval = self._config.check_interval
        ticked = checked = time.monotonic()
        while not self._over.wait(min(TICK_SECONDS, interval)):
            before, ticked = ticked, time.monotonic()
            if ticked - before > self._config.standstill:
                self._on_standstill()
            if self._is_replacement_due():
                self._connection.replace()
                return
            if ticked - checked >= interval:
                if not self._check():
                    return
                checked = ticked

    def _on_standstill(self) -> None:
        self._connection.incomplete = True
        # Read what the stream still holds before it is replaced: the engine may have dropped much of it.
        # Whatever is missing, the new stream has.
        with suppress(EngineError):
            self._check_stream(self._connection)

    def _is_replacement_due(self) -> bool:
        connection = self._connection
        is_old = connection.age_seconds > self._config.max_stream_age
        return connection.listed and (connection.incomplete or is_old)

    def _check(self) -> bool:
        try:
            self._check_stream(self._connection)
        except EngineError as error:
            if not self._over.is_set():
                self._connection.incomplete = True
                self._connection.fail(error)
            return False
        return True
