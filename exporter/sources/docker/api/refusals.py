"""Requests about containers and images that an engine does not allow, and what is missing without them."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable

from exporter.sources.docker.api.status import FORBIDDEN

_MISSING = {
    "/containers/{id}/json": "no memory limits, exact times and reasons of failed starts, and no exits that "
    "no event has reported",
    "/containers/{id}/logs": "no ends of logs, and of jobs of dstack only how their containers ended",
    "/images/{id}/json": "no digests of images, and no names of images that are given by their id",
}
_ID = re.compile(r"^/(containers|images)/[^/]+/")


class Refusals:
    """What is missing now, by the latest answer to each kind of request; may be used from any thread.

    ``listener`` is told of each change.
    """

    def __init__(self) -> None:
        self.listener: Callable[[tuple[str, ...]], None] = lambda _missing: None
        self._lock = threading.Lock()
        self._missing: dict[str, str] = {}

    def note(self, path: str, status: int) -> None:
        """Note the status of an answer; ``path`` may have a query."""
        if status not in FORBIDDEN and not self._missing:
            # Nearly every answer: to tell its kind takes longer than the rest of this.
            return
        kind = _ID.sub(r"/\1/{id}/", path.partition("?")[0])
        if kind not in _MISSING or (status in FORBIDDEN) == (kind in self._missing):
            return
        with self._lock:
            if status in FORBIDDEN:
                self._missing[kind] = f"{kind} is refused (HTTP {status}): {_MISSING[kind]}"
            else:
                self._missing.pop(kind, None)
            self.listener(tuple(self._missing.values()))
