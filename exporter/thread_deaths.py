"""The end of the process when one of its threads has died: it must not live on, and look well, without it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)

# Longer than an orderly stop takes.
LAST_RESORT_SECONDS = 15


class ThreadDeaths:
    """Calls ``request_stop`` when a thread has ended by an error that nothing has caught: a bug.

    Whatever fails or hangs while the process then stops, the kernel ends it after ``LAST_RESORT_SECONDS``.
    """

    def __init__(self, request_stop: Callable[[], None]) -> None:
        self._request_stop = request_stop
        self.any = False

    def watch(self) -> None:
        """Watch all threads but the main one, from which this must be called."""
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        threading.excepthook = self._on_death

    def _on_death(self, death: threading.ExceptHookArgs) -> None:
        self.any = True
        signal.alarm(LAST_RESORT_SECONDS)
        try:
            name = None if death.thread is None else death.thread.name
            log.critical("a thread has ended by a bug; stopping", thread=name, exc_info=death.exc_value)
        finally:
            self._request_stop()
