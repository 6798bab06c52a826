"""Position in an engine's events from which to read after a restart of the exporter."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from exporter.model import Cursor
from exporter.sources.docker.engine import EventGap


class Checkpoint:
    """Cursor of the events that were handed over; it starts at the recorded one, None for a new engine.

    ``is_new``: no list of the engine was received yet. ``is_complete``: every run is known, from an event or
    from a list. From a gap in the events to the next list the cursor does not move: an exporter that is
    restarted in between finds the gap again.
    """

    def __init__(self, cursor: Cursor | None) -> None:
        self.is_new = cursor is None
        self.is_complete = not self.is_new
        self._cursor, self._reading = cursor, cursor or Cursor(0, 0)
        self._in_gap = False
        self._open: dict[str, int] = {}

    def cursor(self, pending_ns: Iterable[int]) -> Cursor | None:
        """Return the cursor, held back to the earliest event that is not handed over.

        These are open containers and the exits that are pending since ``pending_ns``. None before the first
        list: the engine then still counts as new.
        """
        if self.is_new:
            return None
        outstanding = [*self._open.values(), *pending_ns]
        if self._cursor is None or self._in_gap or not outstanding:
            return self._cursor
        return replace(self._cursor, event_ns=min(outstanding), read_until_ns=0)

    def resumed(self, cursor: Cursor, event_gap: EventGap) -> None:
        """Continue at a cursor from which the events are now read."""
        self._reading = cursor
        if event_gap is not EventGap.NONE:
            self._in_gap, self.is_complete = True, False
        elif self._cursor is None:
            self._cursor = cursor

    def event_received(self, at_ns: int) -> None:
        """Move on to an event."""
        self._reading = Cursor(at_ns, self._reading.not_before_ns, at_ns)
        if not self._in_gap:
            self._cursor = self._reading

    def caught_up(self, until_ns: int) -> None:
        """Record that all events up to a time have been received."""
        self._reading = replace(self._reading, read_until_ns=until_ns)
        if not self._in_gap and self._cursor is not None:
            self._cursor = self._reading

    def listed(self, as_of_ns: int) -> None:
        """Record that a list has closed the gap in the events, if there was one."""
        self.is_new, self.is_complete, self._in_gap = False, True, False
        read_until_ns = max(self._reading.read_until_ns, as_of_ns)
        self._cursor = self._reading = replace(self._reading, read_until_ns=read_until_ns)

    def open(self, container_id: str, at_ns: int) -> None:
        """Hold the cursor back to a time, instead of any earlier one of this container."""
        self._open[container_id] = at_ns

    def open_if_absent(self, container_id: str, at_ns: int) -> None:
        """Hold the cursor back to a time, unless it is held back for this container already."""
        self._open.setdefault(container_id, at_ns)

    def close(self, container_id: str) -> None:
        """Hold the cursor back for this container no longer."""
        self._open.pop(container_id, None)
