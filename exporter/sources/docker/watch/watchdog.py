"""Watchdog of an event stream: a stream that is silent may be dead."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Self

import structlog

from exporter.sources.docker.engine import EngineError
from exporter.sources.docker.watch.config import WatchConfig
from exporter.sources.docker.watch.connection import Connection
from exporter.sources.docker.watch.ticker import Ticker
from exporter.sources.docker.watch.worker_pool import WorkerPool

log = structlog.get_logger(__name__)


class StreamWatchdog:
    """Checks a stream at intervals, beside the thread that reads it.

    ``ticker`` says when it is time, ``workers`` do what may take long. ``check`` raises EngineError if events
    are missing; the stream is then ended. The stream is replaced when it is too old, or after a standstill of
    this process, during which an engine drops events that nobody reads.
    """

    def __init__(
        self,
        connection: Connection,
        check: Callable[[Connection], None],
        config: WatchConfig,
        ticker: Ticker,
        workers: WorkerPool,
    ) -> None:
        self._connection = connection
        self._check_stream = check
        self._config = config
        self._ticker = ticker
        self._workers = workers
        self._over = threading.Event()
        self._is_checking = False
        self._ticked = time.monotonic()
        # Not all engines of an exporter are to be asked at one moment.
        self._check_at = self._ticked + random.uniform(0.5, 1) * config.check_interval  # noqa: S311

    def __enter__(self) -> Self:
        self._ticker.add(self._tick)
        return self

    def __exit__(self, *_: object) -> None:
        # A check is not waited for: the engine may not answer.
        self._over.set()
        self._ticker.remove(self._tick)

    def _tick(self) -> None:
        before, self._ticked = self._ticked, time.monotonic()
        stood_still = self._ticked - before > self._config.standstill
        if stood_still:
            self._connection.incomplete = True
        if self._is_checking or self._over.is_set():
            return
        if stood_still:
            self._start(self._read_on)
        elif self._is_replacement_due():
            self._start(self._replace)
        elif self._ticked >= self._check_at:
            self._start(self._check)

    def _is_replacement_due(self) -> bool:
        connection = self._connection
        is_old = connection.age_seconds > self._config.max_stream_age
        return connection.listed and (connection.incomplete or is_old)

    def _start(self, check: Callable[[], None]) -> None:
        def run() -> None:
            try:
                check()
            finally:
                self._check_at = time.monotonic() + self._config.check_interval
                self._is_checking = False

        self._is_checking = True
        try:
            self._workers.submit(run)
        except RuntimeError as error:
            # At a limit of threads; the next tick tries again.
            self._is_checking = False
            log.warning("event stream not checked", cause=str(error))

    def _read_on(self) -> None:
        # Read what the stream still holds before it is replaced: the engine may have dropped much of it.
        # Whatever is missing, the new stream has.
        with suppress(EngineError):
            self._check_stream(self._connection)
        if self._is_replacement_due():
            self._replace()

    def _replace(self) -> None:
        self._over.set()
        self._connection.replace()

    def _check(self) -> None:
        try:
            self._check_stream(self._connection)
        except EngineError as error:
            if not self._over.is_set():
                self._connection.incomplete = True
                self._over.set()
                self._connection.fail(error)
