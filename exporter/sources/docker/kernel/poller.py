"""Asking this machine's kernel beside a local engine: now and then, and whenever it may know more."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from exporter.sources.docker.engine import KernelReport
from exporter.sources.docker.kernel.reader import KernelReader

log = structlog.get_logger(__name__)

KERNEL_SECONDS = 0.25


class KernelPoller:
    """Asks the kernel's witness now and then, and whenever ``ask`` says so, from ``start`` until ``close``.

    Now and then, so that a kill long past is not taken for the cause of an end today; through reconnects,
    since a container of an engine that is away can be killed meanwhile. ``open`` and ``start`` do
    nothing where that is done already.
    """

    def __init__(self, make_witness: Callable[[], KernelReader], say: Callable[[KernelReport], None]) -> None:
        self._make_witness = make_witness
        self._say = say
        self._witness: KernelReader | None = None
        self._lock = threading.Lock()
        self._asked_ns = 0
        self._fails = False
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def counts(self) -> bool:
        """Whether the kernel's counter can be read, and is."""
        return self._witness is not None and self._witness.has_counter

    @property
    def logs(self) -> bool:
        """Whether the kernel's log can be read, and is."""
        return self._witness is not None and self._witness.can_read_log

    def open(self) -> None:
        """Remember from here on what the kernel does. Say nothing yet."""
        with self._lock:
            if self._witness is None:
                self._witness = self._make_witness()

    def start(self) -> None:
        """Say now and then what it did since it was opened."""
        with self._lock:
            if self._witness is None or self._thread is not None:
                return
            self._over = threading.Event()
            self._thread = threading.Thread(target=self._poll, args=(self._over,), name="kernel", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Say no more."""
        with self._lock:
            self._over.set()
            thread, self._thread = self._thread, None
            source, self._witness = self._witness, None
            if source is not None:
                source.close()
        # Without the lock, which it may be waiting for.
        if thread is not None:
            thread.join()

    def ask(self, *, since_ns: int) -> None:
        """Hand on what the kernel has done by now, unless it was asked after ``since_ns`` already.

        Only a local engine's kernel is a witness, so that both have the same clock.
        """
        # Under the lock until it is said, or an answer could be overtaken by the event it explains.
        with self._lock:
            now_ns = time.time_ns()
            # A clock that was set back would otherwise silence the witness until it is where it was.
            if self._witness is None or since_ns < self._asked_ns <= now_ns:
                return
            self._asked_ns = now_ns
            report = self._report(self._witness)
            if report is not None:
                self._say(report)

    def _report(self, source: KernelReader) -> KernelReport | None:
        """What it has to say. A bug in it must end neither the polling nor the reading of events."""
        try:
            report = source.ask()
        except Exception:
            if not self._fails:
                log.exception("a bug while asking the kernel")
            self._fails = True
            return None
        self._fails = False
        return report

    def _poll(self, over: threading.Event) -> None:
        while not over.wait(KERNEL_SECONDS):
            self.ask(since_ns=time.time_ns())
