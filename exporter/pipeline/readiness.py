"""Problems that keep the daemon from being ready, and what is missing although it is, for ``/-/ready``."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from exporter.text import sanitize_error


class Readiness:
    """Problems by component (a source's address, or the store). May be used from any thread.

    ``redact`` removes secrets from their causes.
    """

    def __init__(self, redact: Callable[[str], str] = str) -> None:
        self._redact = redact
        self._lock = threading.Lock()
        self._problems: dict[str, str] = {}
        self._limitations: dict[str, list[str]] = {}

    def set_unready(self, component: str, cause: str) -> None:
        """Record why a component is not ready, in place of the cause before."""
        shown = sanitize_error(self._redact(cause))
        with self._lock:
            self._problems[component] = shown

    def set_ready(self, component: str) -> None:
        """Record that a component is ready."""
        with self._lock:
            self._problems.pop(component, None)

    def problems(self) -> dict[str, str]:
        """Return the causes by component; empty when all is ready."""
        with self._lock:
            return dict(self._problems)

    def set_limitations(self, component: str, missing: Sequence[str]) -> None:
        """Record what a component lacks, in place of what was recorded before."""
        shown = [f"{component}: {sanitize_error(self._redact(each))}" for each in missing]
        with self._lock:
            self._limitations[component] = shown

    def limitations(self) -> list[str]:
        """Return what is missing, with the component that lacks it."""
        with self._lock:
            return [each for _, missing in sorted(self._limitations.items()) for each in missing]
