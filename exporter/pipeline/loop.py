"""The one thread through which every exit passes: track, classify, record.

It takes all that the inbox holds as one batch, so that under load many exits share one commit.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterable

import structlog

from exporter.pipeline.recorder import Recorder
from exporter.pipeline.sources import ConnectedSources
from exporter.pipeline.standstill import DEAD_SECONDS, Progress
from exporter.sources.source import Inbox, Message

log = structlog.get_logger(__name__)

MAX_BATCH = 1_000
IDLE_SECONDS = 1.0


class Pipeline:
    """Processes messages from the inbox until it is stopped, then records what is left.

    ``stopping`` is set by ``stop``; until then, whoever shares it may wait for the store. ``progress`` is
    told of each step.
    """

    def __init__(
        self,
        inbox: Inbox,
        sources: ConnectedSources,
        recorder: Recorder,
        stopping: threading.Event,
        progress: Progress,
    ) -> None:
        self._inbox = inbox
        self._sources = sources
        self._recorder = recorder
        self._stopping = stopping
        self._progress = progress
        self._has_crashed = False
        self._thread = threading.Thread(target=self._run_guarded, name="pipeline", daemon=True)

    def start(self) -> None:
        """Continue from what is on record, and start the thread. Raises StoreError."""
        self._recorder.resume()
        self._thread.start()

    def stop(self, seconds: float) -> bool:
        """Record what has been read, within ``seconds``. Return whether all of it is on record."""
        self._stopping.set()
        self._thread.join(seconds)
        return not (self._thread.is_alive() or self._recorder.has_pending or self._has_crashed)

    @property
    def alive(self) -> bool:
        """True while the thread runs, and gets on; without it, nothing is counted."""
        return self._thread.is_alive() and self._progress.standing_seconds < DEAD_SECONDS

    def _run_guarded(self) -> None:
        try:
            self._run()
        except BaseException:
            self._has_crashed = True
            raise

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._process_batch(self._inbox.take(MAX_BATCH, self._wait_timeout()))
        while messages := self._inbox.take(MAX_BATCH, 0):
            self._process_batch(messages)
        self._finish()

    def _process_batch(self, messages: Iterable[Message]) -> None:
        for message in messages:
            for outcome in self._sources.receive(message, self._progress.note()):
                self._recorder.add(outcome)
        now = self._progress.note()
        for outcome in self._sources.release_due(now):
            self._recorder.add(outcome)
        if self._recorder.is_due(now):
            self._recorder.commit(self._sources.cursors())
        if not self._recorder.has_pending:
            self._show_ready()
            for ended in self._sources.end_unwatched():
                self._recorder.add(ended)

    def _show_ready(self) -> None:
        if self._sources.mark_listed():
            # After a kill, the marks must be there: without them, what comes from now on would be history.
            self._recorder.commit(self._sources.cursors(), always=True)
        self._sources.show_ready()

    def _finish(self) -> None:
        """Record also what would have waited for late evidence."""
        for outcome in self._sources.release_due(math.inf):
            self._recorder.add(outcome)
        self._recorder.commit(self._sources.cursors())
        if self._recorder.has_pending:
            exits = self._recorder.pending_exits
            log.error("stopping with exits that the store did not take", exits=exits)
        else:
            self._show_ready()

    def _wait_timeout(self) -> float:
        """Return for how many seconds nothing needs to be done unless a message comes."""
        dues = [due for due in (self._sources.next_due, self._recorder.next_due) if due is not None]
        return max(0.001, min(IDLE_SECONDS, min(dues) - time.monotonic())) if dues else IDLE_SECONDS
