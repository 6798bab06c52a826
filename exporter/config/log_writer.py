"""Writing of log lines by a thread of its own, so that a log that cannot be written holds up nothing else."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)

MAX_PENDING_BYTES = 1 << 20
CLOSE_SECONDS = 1.0


class LogWriter:
    """File for log lines. ``write`` never waits and never raises: what cannot be written is dropped.

    ``descriptor`` is that of an open file, None if there is none. Dropped are lines beyond
    ``MAX_PENDING_BYTES``, and those that the file refuses (its reader is gone, its disk is full). They are
    counted, and once a line can be written again, one says how many are missing. ``tick`` is called by the
    writer's thread after each line, and again once the seconds have passed that it returned; it may log.
    """

    def __init__(self, descriptor: int | None, tick: Callable[[], float | None] = lambda: None) -> None:
        self._descriptor = descriptor
        self._tick = tick
        self._seconds_to_tick: float | None = None
        self._changed = threading.Condition()
        self._pending: deque[bytes] = deque()
        self._pending_bytes = 0
        self._closed = False
        self._dropped = self._reported = 0
        self._is_torn = False
        self._on_dropped: Callable[[int], None] = lambda _lines: None
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def on_dropped(self, count: Callable[[int], None]) -> None:
        """Call ``count`` with the number of lines dropped so far, and with that of all dropped later.

        It is called by the thread that logs: it must return at once, and log nothing.
        """
        self._on_dropped = count
        count(self._dropped)

    def write(self, text: str) -> None:
        """Take a line to write."""
        line = text.encode(errors="backslashreplace")
        with self._changed:
            has_room = self._pending_bytes + len(line) <= MAX_PENDING_BYTES
            if has_room:
                self._pending.append(line)
                self._pending_bytes += len(line)
                self._changed.notify()
        if not has_room:
            self._drop()

    def flush(self) -> None:
        """Return at once: the thread writes each line as soon as it can."""

    def close(self) -> None:
        """Write what is pending, for a second at most; the thread then ends."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        while (line := self._next()) is not None:
            if not self._is_written(line):
                self._drop()
            elif line and self._dropped > self._reported:
                self._report()
            self._seconds_to_tick = self._tick()

    def _next(self) -> bytes | None:
        """Wait for the next line; return none if none came, and None once all is written after the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._pending or self._closed, self._seconds_to_tick)
            if not self._pending:
                return None if self._closed else b""
            line = self._pending.popleft()
            self._pending_bytes -= len(line)
            return line

    def _is_written(self, line: bytes) -> bool:
        if not line:
            return True
        if self._descriptor is None:
            return False
        # The last write may have ended within a line.
        rest = b"\n" + line if self._is_torn else line
        try:
            while rest:
                written = os.write(self._descriptor, rest)
                rest = rest[written:]
                self._is_torn = bool(rest)
        except OSError:
            return False
        return True

    def _drop(self) -> None:
        with self._changed:
            self._dropped += 1
        self._on_dropped(1)

    def _report(self) -> None:
        with self._changed:
            missing, self._reported = self._dropped - self._reported, self._dropped
        log.warning("log lines dropped, since the log could not be written", lines=missing)
