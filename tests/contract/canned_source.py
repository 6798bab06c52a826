"""A source of another kind than an engine: a list of runs that have ended."""

from __future__ import annotations

from collections.abc import Sequence

from exporter.model import Cursor
from exporter.sources.source import Connected, Inbox, Listed, Message, Outcome, Records
from exporter.verdict.facts import EndedRun


class CannedSource:
    """Reports each of its runs as ended as soon as it is started."""

    def __init__(self, inbox: Inbox, host: str, runs: Sequence[EndedRun]) -> None:
        self.address = "canned://list"
        self._inbox = inbox
        self._host = host
        self._runs = runs

    def start(self, cursor: Cursor | None) -> None:
        """Send the connection, the runs that are not on record, and the end of the list."""
        self._send(Connected(self._host, "", None))
        for number, run in enumerate(self._runs, start=1):
            if cursor is None or number > cursor.event_ns:
                self._send((number, run))
        self._send(Listed())

    def stop(self) -> None:
        """Do nothing: all is sent."""

    def tracker(self, connected: Connected, records: Records) -> CannedTracker:
        """Return the tracker of the runs."""
        return CannedTracker(connected.host, records.cursor(self.address))

    def _send(self, content: object) -> None:
        self._inbox.put(Message(self.address, content))


class CannedTracker:
    """Hands over what it receives; its position is the number of the last run."""

    next_due = None

    def __init__(self, host: str, cursor: Cursor | None) -> None:
        self.host = host
        self.cursor = cursor

    def receive(self, content: object, _now: float) -> list[Outcome]:
        """Return the run, or the end of the list."""
        if isinstance(content, Listed):
            return [content]
        if isinstance(content, tuple):
            self.cursor = Cursor(content[0], 0)
            return [content[1]]
        return []

    def release_due(self, _now: float) -> list[Outcome]:
        """Return nothing: nothing waits."""
        return []
