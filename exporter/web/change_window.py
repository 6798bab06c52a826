"""The latest changes of jobs, as they are sent: each message is made once for all streams."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from exporter.model import Status

MAX_CHANGES = 1000
MAX_BYTES = 2 << 20


@dataclass(frozen=True, slots=True)
class ChangeMessage:
    """A change by its number, with what streams can be filtered by; ``reason`` is None for a running job."""

    number: int
    status: Status
    reason: str | None
    workload: str
    host: str
    message: bytes


@dataclass(frozen=True, slots=True)
class ChangeWindow:
    """Successive changes, the oldest first: all that are on record after the number ``floor``."""

    floor: int
    changes: tuple[ChangeMessage, ...] = ()

    @property
    def newest(self) -> int:
        """Number of the last change that is known."""
        return max(self.floor, self.changes[-1].number) if self.changes else self.floor

    def covers(self, position: int) -> bool:
        """Return whether a reader at this number misses nothing."""
        return self.floor <= position <= self.newest

    def after(self, position: int) -> Iterator[ChangeMessage]:
        """Return the changes after a number."""
        return islice(self.changes, bisect_right(self.changes, position, key=_number), None)

    def moved_on(self, changes: Sequence[ChangeMessage]) -> ChangeWindow:
        """Return the window with later changes; as many as fit into one may have others before them."""
        if len(changes) >= MAX_CHANGES:
            return _bounded(changes[0].number - 1, tuple(changes))
        return _bounded(self.floor, self.changes + tuple(changes))


def _number(change: ChangeMessage) -> int:
    return change.number


def _bounded(floor: int, changes: tuple[ChangeMessage, ...]) -> ChangeWindow:
    """Return a window of at most MAX_CHANGES and MAX_BYTES: the latest changes, at least one."""
    size, first = 0, len(changes)
    while first and len(changes) - first < MAX_CHANGES:
        size += len(changes[first - 1].message)
        if size > MAX_BYTES and first < len(changes):
            break
        first -= 1
    return ChangeWindow(changes[first - 1].number if first else floor, changes[first:])
