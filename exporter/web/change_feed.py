"""Reads the changes of jobs for all streams at once, and wakes the streams.

The pipeline only sets an event. What is sent is read from the store, so that nothing is shown before it is
committed, and nothing waits in a queue for a slow reader.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress

import structlog

from exporter.store import JobChange, Store, StoreError
from exporter.verdict.reloadable_catalog import ReloadableCatalog
from exporter.web.change_window import MAX_CHANGES, ChangeMessage, ChangeWindow
from exporter.web.job_views import job_view
from exporter.web.server_sent_events import event_message

log = structlog.get_logger(__name__)

# Changes within this time are read and sent together.
PAUSE_SECONDS = 0.1
RETRY_SECONDS = 1.0
_DATABASE_DIGITS = 8


class ChangeFeed:
    """The latest changes, as all streams of a process send them.

    ``notify`` and ``refresh`` may be called from any thread, the other methods that change it only from the
    event loop.
    """

    def __init__(self, store: Store, catalog: ReloadableCatalog) -> None:
        self._store = store
        self._catalog = catalog
        self._window: ChangeWindow | None = None
        self._reading = threading.Lock()
        self._is_stale = threading.Event()
        self._stopping = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news = asyncio.Event()
        self.ended = False
        self.streams = 0
        self._database_id = ""
        self._thread = threading.Thread(target=self._run, name="stream", daemon=True)

    def start(self) -> None:
        """Start the thread that reads for the open streams."""
        self._thread.start()

    def stop(self) -> None:
        """Read no more."""
        self._stopping.set()
        self._is_stale.set()
        self._thread.join()

    def notify(self) -> None:
        """Let the changes be read that were just committed; returns at once."""
        self._is_stale.set()

    def add_streams(self, amount: int) -> None:
        """Add to the number of open streams; while there are none, nothing is read."""
        self.streams += amount
        # What was committed just before would wait for the next commit.
        self.notify()

    def refresh(self) -> ChangeWindow:
        """Read what was committed up to now. Raises StoreError."""
        with self._reading:
            self._database_id = self._database_id or self._store.instance_id[:_DATABASE_DIGITS]
            window = self._window or ChangeWindow(self._store.pruned_before_ns)
            changes = self._store.reader.latest_changes(window.newest if self._window else 0, MAX_CHANGES)
            if changes or self._window is None:
                self._window = window.moved_on([self._message(change) for change in changes])
                self._wake_streams()
            return self._window

    def event_id(self, number: int) -> str:
        """Return a position as clients keep it, with the database that it is one in; after a ``refresh``."""
        return f"{self._database_id}-{number}"

    def position(self, event_id: str) -> int | None:
        """Return the position of an id; None if it is none of this database's. After a ``refresh``."""
        database, _, number = event_id.partition("-")
        is_ours = database == self._database_id and number.isascii() and number.isdecimal()
        return int(number) if is_ours and len(number) < 20 else None  # noqa: PLR2004  # 64 bits

    def current_id(self) -> str:
        """Return the id to stream from after a list of jobs that is read next. Raises StoreError."""
        return self.event_id(self.refresh().newest)

    async def next_window(self, seen: ChangeWindow, seconds: float) -> ChangeWindow:
        """Return the window as soon as it is another one than ``seen``, or after so many seconds."""
        self._loop, news = asyncio.get_running_loop(), self._news
        if self._window is seen and not self.ended:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await news.wait()
        return self._window or seen

    def end(self) -> None:
        """End all streams: the server stops."""
        self.ended = True
        self._announce()

    def _message(self, change: JobChange) -> ChangeMessage:
        job, ended = change.record.job, change.record.ended
        data = job_view(change.record, self._catalog.current).model_dump_json()
        return ChangeMessage(
            change.number,
            change.record.status,
            ended.verdict.reason if ended else None,
            job.workload.name,
            job.instance,
            event_message("job", data, self.event_id(change.number)),
        )

    def _wake_streams(self) -> None:
        if self._loop is not None:
            # The loop is closed once the server has stopped, and with it all streams.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._announce)

    def _announce(self) -> None:
        waited_for, self._news = self._news, asyncio.Event()
        waited_for.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._is_stale.wait()
            self._is_stale.clear()
            if self.streams and not self._stopping.is_set():
                self._read()
            self._stopping.wait(PAUSE_SECONDS)

    def _read(self) -> None:
        try:
            self.refresh()
        except StoreError as error:
            log.warning("changes of jobs not read for their streams, will retry", cause=str(error))
            self._is_stale.set()
            self._stopping.wait(RETRY_SECONDS)
