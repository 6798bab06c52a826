"""Driver of a watcher of a scripted engine; the test ends the watcher's pauses, not a clock."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from exporter.model import Cursor
from exporter.sources.docker.api.adapter import DockerEngine
from exporter.sources.docker.api.address import EngineAddress
from exporter.sources.docker.kernel.reader import KernelReader
from exporter.sources.docker.messages import Inspected
from exporter.sources.docker.watch.config import WatchConfig
from exporter.sources.docker.watch.shared import Shared
from exporter.sources.docker.watch.watcher import EngineWatcher
from exporter.sources.source import Connected, Inbox
from tests.scripted.engine import ScriptedEngine

TIMEOUT_SECONDS = 10.0


class Pauses(threading.Event):
    """Replacement for the watcher's stop event: it records each pause, and ends it when a test says so."""

    def __init__(self) -> None:
        super().__init__()
        self._requested: queue.SimpleQueue[float] = queue.SimpleQueue()
        self._continue = threading.Semaphore(0)

    def wait(self, timeout: float | None = None) -> bool:
        """Pause until ``end_one``, or until the watcher is stopped."""
        self._requested.put(timeout or 0.0)
        self._continue.acquire(timeout=TIMEOUT_SECONDS)
        return self.is_set()

    def set(self) -> None:
        """Stop the watcher."""
        super().set()
        self._continue.release()

    def end_one(self) -> float:
        """Wait for the next pause and end it; return its length in seconds."""
        seconds = self._requested.get(timeout=TIMEOUT_SECONDS)
        self._continue.release()
        return seconds


class WatcherDriver:
    """Watcher that runs between ``__enter__`` and ``__exit__``."""

    def __init__(
        self,
        engine: ScriptedEngine,
        make_kernel_reader: Callable[[], KernelReader] | None = None,
        *,
        cursor: Cursor | None = None,
        config: WatchConfig | None = None,
        max_line_bytes: int = 1 << 20,
    ) -> None:
        self.inbox = Inbox()
        self.watcher = EngineWatcher(
            DockerEngine(EngineAddress(engine.url), max_line_bytes=max_line_bytes),
            self.inbox,
            Shared(config or WatchConfig()),
            cursor=cursor,
            make_kernel_reader=make_kernel_reader,
        )
        self.pauses = self.watcher._stopping = Pauses()

    def __enter__(self) -> Self:
        """Start the watcher."""
        self.watcher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the watcher."""
        self.watcher.stop()

    def stop_workers(self) -> None:
        """Stop the threads that inspect, as in the middle of stopping the watcher."""
        self.watcher._inspect_pool.stop()

    def has_ended(self) -> bool:
        """Return whether the watcher's thread ends soon."""
        self.watcher._thread.join(TIMEOUT_SECONDS)
        return not self.watcher._thread.is_alive()

    def receive(self, count: int) -> list[object]:
        """Return the next ``count`` messages."""
        contents = [self.inbox.take(1, TIMEOUT_SECONDS)[0].content for _ in range(count)]
        return [content.details if isinstance(content, Connected) else content for content in contents]

    def receive_until(self, kind: type[object]) -> list[object]:
        """Return the messages up to the first of a kind."""
        received = self.receive(1)
        while not isinstance(received[-1], kind):
            received += self.receive(1)
        return received

    def receive_sorted(self, count: int) -> list[object]:
        """Return the next ``count`` messages, inspections last: other threads send them."""
        return sorted(self.receive(count), key=lambda content: isinstance(content, Inspected))

    def has_no_message(self) -> bool:
        """Return whether all messages have been received."""
        return not len(self.inbox)
