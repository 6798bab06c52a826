"""The reader of the exporter's standard error: it reads, stops reading, or goes away."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_READ_SECONDS = 0.1


class LogReader:
    """Named pipe that is a daemon's standard error, and a thread that copies what it says to a file."""

    def __init__(self, pipe: Path, copy: Path) -> None:
        self.pipe = pipe
        self._copy = copy
        self._lock = threading.Lock()
        self._stuck = threading.Event()
        self._over = threading.Event()
        os.mkfifo(pipe)
        self._end: int | None = self._open()
        self._thread = threading.Thread(target=self._run, name="log reader", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Read no longer."""
        self._over.set()
        self._thread.join()

    @contextmanager
    def gone(self) -> Iterator[None]:
        """Have no reader: what is written fails with EPIPE."""
        with self._lock:
            self._shut()
        try:
            yield
        finally:
            with self._lock:
                self._end = self._end or self._open()

    @contextmanager
    def stuck(self) -> Iterator[None]:
        """Have a reader that does not read: once the pipe is full, writing blocks."""
        self._stuck.set()
        try:
            yield
        finally:
            self._stuck.clear()

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Have a reader for a moment, since a pipe without one cannot be opened to write."""
        with self._lock:
            other = self._open()
            try:
                yield
            finally:
                os.close(other)

    def _open(self) -> int:
        return os.open(self.pipe, os.O_RDONLY | os.O_NONBLOCK)

    def _shut(self) -> None:
        if self._end is not None:
            os.close(self._end)
        self._end = None

    def _run(self) -> None:
        with self._copy.open("ab") as copy:
            while not self._over.wait(_READ_SECONDS):
                if not self._stuck.is_set():
                    copy.write(self._read())
                    copy.flush()

    def _read(self) -> bytes:
        with self._lock:
            try:
                return b"" if self._end is None else os.read(self._end, 1 << 20)
            except BlockingIOError:
                return b""
