"""Limit of lines that repeat, so that nothing that somebody can cause without end fills the log."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import structlog

log = structlog.get_logger(__name__)

# Enough for an engine that comes and goes, little for a client that causes an error with each request.
MAX_LINES = 10
INTERVAL_SECONDS = 60.0
KIND = "kind_of_line"
"""Field of an event by which lines are of one kind, if their message is not the same; it is not logged."""


@dataclass(slots=True)
class _Kind:
    message: str
    since: float
    lines: int = 0
    left_out: int = 0


class RepeatLimit:
    """Processor of structlog that lets through the first ``MAX_LINES`` lines of a kind in each interval.

    Lines with one message and level are of one kind, whatever their other fields. What is left out is
    counted, and ``report`` logs the counts.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kinds: dict[Hashable, _Kind] = {}

    def __call__(self, _logger: object, level: str, event: Any) -> Any:
        """Return the event, or raise DropEvent."""
        message = str(event["event"])
        if not self._has_room((level, event.pop(KIND, message)), message):
            raise structlog.DropEvent
        return event

    def report(self, *, all_kinds: bool = False) -> float | None:
        """Log how many lines were left out, for each kind whose interval is over, or for all kinds.

        Return in how many seconds the next interval is over, None if no line has begun one.
        """
        for key, kind in self._ended(all_kinds=all_kinds).items():
            if kind.left_out:
                log.warning(
                    "lines left out, since too many were alike",
                    like=kind.message,
                    lines=kind.left_out,
                    # Otherwise the limit holds for these lines too, and leaves out the counts of many kinds.
                    **{KIND: ("left out", key)},
                )
        return self._seconds_to_end()

    def _has_room(self, key: Hashable, message: str) -> bool:
        with self._lock:
            kind = self._kinds.setdefault(key, _Kind(message, self._clock()))
            if kind.lines < MAX_LINES:
                kind.lines += 1
                return True
            kind.left_out += 1
            return False

    def _seconds_to_end(self) -> float | None:
        with self._lock:
            first = min((kind.since for kind in self._kinds.values()), default=None)
        return None if first is None else first + INTERVAL_SECONDS - self._clock()

    def _ended(self, *, all_kinds: bool) -> dict[Hashable, _Kind]:
        limit = self._clock() - INTERVAL_SECONDS
        with self._lock:
            ended = {key: kind for key, kind in self._kinds.items() if all_kinds or kind.since <= limit}
            for key in ended:
                del self._kinds[key]
        return ended
