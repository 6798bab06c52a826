"""The exporter as a service manager runs it: started again whenever it has ended."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.torture.clock import SteppedClock
from bench.torture.log_reader import LogReader
from tests.lab.exporter import ExporterProcess

_CHECK_SECONDS = 0.2
_RESTART_SECONDS = 1.0


class TorturedExporter(ExporterProcess):
    """Exporter with a database on a small disk, a clock that can be stepped, and a pipe for its log.

    ``ends`` counts how it has ended without being killed or told to, by code.
    """

    def __init__(
        self, engine_url: str, disk: Path, reader: LogReader, clock: SteppedClock, arguments: tuple[str, ...]
    ) -> None:
        super().__init__(engine_url, disk, arguments=arguments, environment=clock.environment)
        self._reader = reader
        self._down = threading.Lock()
        self._over = threading.Event()
        self.ends: Counter[int] = Counter()
        self._thread = threading.Thread(target=self._restart, name="service manager", daemon=True)

    @property
    def log_path(self) -> Path:
        """The pipe of its log."""
        return self._reader.pipe

    def start(self) -> None:
        """Start it, whether its log has a reader or not."""
        with self._reader.opened():
            super().start()

    def begin(self) -> None:
        """Start it, and again whenever it has ended by itself."""
        self.start()
        self._thread.start()

    def stop(self) -> int | None:
        """Stop it for good."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
        return super().stop()

    @contextmanager
    def down(self, *, killed: bool) -> Iterator[None]:
        """Have it killed, or ended in order, and started again in the end."""
        with self._down:
            if killed:
                self.kill()
            else:
                self.process.end(patience_seconds=20)
            try:
                yield
            finally:
                self.start()

    def _restart(self) -> None:
        while not self._over.wait(_CHECK_SECONDS):
            with self._down:
                code = self.process.returncode
                if code is not None:
                    self.ends[code] += 1
                    time.sleep(_RESTART_SECONDS)
                    self.start()
