"""Whether the daemon can be relied on right now, and if not, why; asked by ``/-/ready``."""

from __future__ import annotations

import threading


class Readiness:
    """What stands in the way, by who says so. May be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._causes: dict[str, str] = {}

    def trouble(self, who: str, cause: str) -> None:
        """``who`` is not ready; replaces what it said before."""
        with self._lock:
            self._causes[who] = cause

    def well(self, who: str) -> None:
        """Nothing is wrong with ``who``."""
        with self._lock:
            self._causes.pop(who, None)

    def causes(self) -> dict[str, str]:
        """Everything that is wrong; empty when ready."""
        with self._lock:
            return dict(self._causes)
