"""A watch of a scripted engine, and what it says; its pauses end when a test says so, not by a clock."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from exporter.model import Cursor
from exporter.sources.docker.api.adapter import Address, DockerEngine
from exporter.sources.docker.kernel.reader import KernelReader
from exporter.sources.docker.messages import Inbox, Inspected, WatchMessage
from exporter.sources.docker.watch.watcher import EngineWatcher, WatchTimeouts
from tests.scripted.engine import ScriptedEngine

PATIENCE_SECONDS = 10.0


class Pauses(threading.Event):
    """In place of a watch's wish to stop: notes how long it would pause, and lets it go on when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: queue.SimpleQueue[float] = queue.SimpleQueue()
        self._go = threading.Semaphore(0)

    def wait(self, timeout: float | None = None) -> bool:
        """Pause until ``over``, or the end."""
        self.asked.put(timeout or 0.0)
        self._go.acquire(timeout=PATIENCE_SECONDS)
        return self.is_set()

    def set(self) -> None:
        """Stop."""
        super().set()
        self._go.release()

    def over(self) -> float:
        """End one pause; how long it would have been."""
        seconds = self.asked.get(timeout=PATIENCE_SECONDS)
        self._go.release()
        return seconds


class Watching:
    """A watch that runs between ``with`` and its end."""

    def __init__(
        self,
        engine: ScriptedEngine,
        source: Callable[[], KernelReader] = KernelReader,
        *,
        cursor: Cursor | None = None,
        patience: WatchTimeouts = WatchTimeouts(),  # noqa: B008  # frozen
    ) -> None:
        self.inbox: Inbox = queue.SimpleQueue()
        docker = DockerEngine(Address(engine.url))
        self.watch = EngineWatcher(docker, self.inbox, source, cursor=cursor, patience=patience)
        self.pauses = self.watch._stopping = Pauses()

    def __enter__(self) -> Self:
        """Begin."""
        self.watch.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""
        self.watch.stop()

    def closes_workers(self) -> None:
        """Let nobody be asked about anything any more, as in the middle of stopping."""
        self.watch._workers.stop()

    def ends(self) -> bool:
        """Whether its thread has ended, or does so soon."""
        self.watch._thread.join(PATIENCE_SECONDS)
        return not self.watch._thread.is_alive()

    def hears(self, count: int) -> list[WatchMessage]:
        """The next so many things that it says."""
        return [self.inbox.get(timeout=PATIENCE_SECONDS).content for _ in range(count)]

    def hears_until(self, kind: type[WatchMessage]) -> list[WatchMessage]:
        """What it says, up to the first thing of a kind."""
        heard = self.hears(1)
        while not isinstance(heard[-1], kind):
            heard += self.hears(1)
        return heard

    def sorted_answers(self, count: int) -> list[WatchMessage]:
        """The next so many things that it says, answers at the end: they come from other threads."""
        return sorted(self.hears(count), key=lambda content: isinstance(content, Inspected))

    def says_no_more(self) -> bool:
        """Whether it has said nothing that was not heard."""
        return self.inbox.empty()
