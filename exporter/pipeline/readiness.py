"""Problems that keep the daemon from being ready, as ``/-/ready`` shows them."""

from __future__ import annotations

import threading


class Readiness:
    """Problems by component (a source's address, or the store). May be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._problems: dict[str, str] = {}

    def set_unready(self, component: str, cause: str) -> None:
        """Record why a component is not ready, in place of the cause before."""
        with self._lock:
            self._problems[component] = cause

    def set_ready(self, component: str) -> None:
        """Record that a component is ready."""
        with self._lock:
            self._problems.pop(component, None)

    def problems(self) -> dict[str, str]:
        """Return the causes by component; empty when all is ready."""
        with self._lock:
            return dict(self._problems)
