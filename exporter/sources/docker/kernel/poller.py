"""Poller of this machine's kernel, for an engine that runs on it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from exporter.periodic_thread import PeriodicThread
from exporter.sources.docker.engine import KERNEL_POLL_SECONDS, KernelReport
from exporter.sources.docker.kernel.reader import KernelReader

log = structlog.get_logger(__name__)

Poll = Callable[[], KernelReport | None]


class KernelPoller:
    """Polls the kernel every ``interval`` seconds and on request, from ``start`` until ``close``.

    At intervals, so that an old OOM kill is not taken for the cause of a later exit; and through reconnects,
    since a container can be killed while its engine is away. ``open`` and ``start`` may be called again.
    """

    def __init__(
        self,
        make_reader: Callable[[], KernelReader],
        send: Callable[[KernelReport], None],
        *,
        interval: float = KERNEL_POLL_SECONDS,
        time_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._make_reader = make_reader
        self._send = send
        self._interval = interval
        self._time_ns = time_ns
        self._reader: KernelReader | None = None
        self._lock = threading.Lock()
        self._polled_ns = 0
        self._fails = False
        self._thread: PeriodicThread | None = None

    @property
    def has_counter(self) -> bool:
        """True if the kernel's counter of OOM kills is being read."""
        return self._reader is not None and self._reader.has_counter

    @property
    def has_log(self) -> bool:
        """True if the kernel's log is being read."""
        return self._reader is not None and self._reader.has_log

    def open(self) -> None:
        """Collect what the kernel reports from now on, without sending it."""
        with self._lock:
            if self._reader is None:
                self._reader = self._make_reader()

    def start(self) -> None:
        """Send a report of what happened since ``open``, and then at intervals."""
        with self._lock:
            if self._reader is None or self._thread is not None:
                return
            thread = PeriodicThread("kernel", self._interval, self._poll_if_logged)
            # At a limit of threads this fails, and is called again with the next connection.
            thread.start()
            self._thread = thread
            # Now: it may explain exits in the list that follows.
            self._send_report(self._reader.poll)

    def close(self) -> None:
        """Stop polling."""
        with self._lock:
            thread, self._thread = self._thread, None
            reader, self._reader = self._reader, None
            if reader is not None:
                reader.close()
        # Without the lock, for which the thread may be waiting.
        if thread is not None:
            thread.stop()
            thread.join()

    def poll(self, *, since_ns: int) -> None:
        """Send what the kernel has reported by now, unless it was polled after ``since_ns``.

        The engine of an event at ``since_ns`` runs on this machine, and has the same clock.
        """
        # The lock is held until the report is sent: otherwise the event that it explains could overtake it.
        with self._lock:
            now_ns = self._time_ns()
            # If the clock was set back, the last poll is in the future and does not count.
            if self._reader is None or since_ns < self._polled_ns <= now_ns:
                return
            self._polled_ns = now_ns
            self._send_report(self._reader.poll)

    def _poll_if_logged(self) -> None:
        with self._lock:
            if self._reader is not None:
                self._send_report(self._reader.poll_if_logged)

    def _send_report(self, poll: Poll) -> None:
        report = self._report(poll)
        if report is not None:
            self._send(report)

    def _report(self, poll: Poll) -> KernelReport | None:
        # An error here must end neither the polling nor the reading of events.
        try:
            report = poll()
        except Exception:
            if not self._fails:
                log.exception("unexpected error while reading the kernel's counter and log")
            self._fails = True
            return None
        self._fails = False
        return report
