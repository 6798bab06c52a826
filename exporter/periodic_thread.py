"""A thread for what is to be done at intervals, and may wait for a disk."""

from __future__ import annotations

import threading
from collections.abc import Callable


class PeriodicThread:
    """Thread that calls a function every ``seconds``, at first after that time or ``at_once``, until stopped.

    An error that the function raises ends the thread, and the process with it (``thread_deaths.py``).
    """

    def __init__(
        self, name: str, seconds: float, function: Callable[[], None], *, at_once: bool = False
    ) -> None:
        self._seconds = seconds
        self._function = function
        self._at_once = at_once
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def is_stopping(self) -> bool:
        """Return whether it was asked to stop."""
        return self._stopping.is_set()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Call the function no more; a call may be under way."""
        self._stopping.set()

    def join(self) -> None:
        """Return once the thread has ended."""
        self._thread.join()

    def _run(self) -> None:
        delay = 0 if self._at_once else self._seconds
        while not self._stopping.wait(delay):
            self._function()
            delay = self._seconds
