"""How far an engine has been read, and before which moment nothing is open any more."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from exporter.model import Cursor
from exporter.sources.docker.engine import EventGap


class Checkpoint:
    """Where to go on after a restart; ``cursor`` is that of the last one, None where nobody has watched yet.

    ``is_new``: no list has told of the engine yet. ``knows_all``: there is no run of which neither an
    event nor a list has told. It stands still from a lapse to the next list, so that nobody forgets that
    something is missing.
    """

    def __init__(self, cursor: Cursor | None) -> None:
        self.is_new = cursor is None
        self.is_complete = not self.is_new
        self._cursor, self._reading = cursor, cursor or Cursor(0, 0)
        self._lapsed = False
        self._open: dict[str, int] = {}

    def cursor(self, waiting: Iterable[int]) -> Cursor | None:
        """Before which all is settled, but for what waits since these moments."""
        if self.is_new:
            # Until the first list is on record, nobody has watched this engine.
            return None
        unsettled = [*self._open.values(), *waiting]
        if self._cursor is None or self._lapsed or not unsettled:
            return self._cursor
        return replace(self._cursor, event_ns=min(unsettled), read_until_ns=0)

    def resumed(self, cursor: Cursor, event_gap: EventGap) -> None:
        """Events are read again, from there on."""
        self._reading = cursor
        if event_gap is not EventGap.NONE:
            self._lapsed, self.is_complete = True, False
        elif self._cursor is None:
            self._cursor = cursor

    def told(self, at_ns: int) -> None:
        """An event has come."""
        self._reading = replace(self._reading, event_ns=at_ns, read_until_ns=at_ns)
        if not self._lapsed:
            self._cursor = self._reading

    def read(self, until_ns: int) -> None:
        """All that was told up to then has come."""
        self._reading = replace(self._reading, read_until_ns=until_ns)
        if not self._lapsed and self._cursor is not None:
            self._cursor = self._reading

    def listed(self, as_of_ns: int) -> None:
        """A list has told what no event did."""
        self.is_new, self.is_complete, self._lapsed = False, True, False
        read_until_ns = max(self._reading.read_until_ns, as_of_ns)
        self._cursor = self._reading = replace(self._reading, read_until_ns=read_until_ns)

    def begins(self, container_id: str, at_ns: int) -> None:
        """Something is open about a container since then, whatever was before."""
        self._open[container_id] = at_ns

    def tries(self, container_id: str, at_ns: int) -> None:
        """Something is open about a container, if nothing was before."""
        self._open.setdefault(container_id, at_ns)

    def settles(self, container_id: str) -> None:
        """Nothing about a container is open any more."""
        self._open.pop(container_id, None)
