"""Clock for what is to be done at intervals."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Ticker:
    """Thread that calls functions every ``seconds``, as long as there are any; they must return at once."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._called: list[Callable[[], None]] = []
        self._runs = False

    def add(self, function: Callable[[], None]) -> None:
        """Call a function from now on. Raises RuntimeError if there can be no thread."""
        with self._lock:
            if not self._runs:
                threading.Thread(target=self._run, name="watchdog", daemon=True).start()
                self._runs = True
            self._called.append(function)

    def remove(self, function: Callable[[], None]) -> None:
        """Call a function no more; a call may be under way."""
        with self._lock:
            self._called.remove(function)

    def _run(self) -> None:
        while called := self._next():
            for function in called:
                function()

    def _next(self) -> list[Callable[[], None]]:
        """Return what to call, after a while; nothing if this thread shall end."""
        time.sleep(self._seconds)
        with self._lock:
            self._runs = bool(self._called)
            return [*self._called]
