"""Point at which reading resumes after a connection has ended."""

from __future__ import annotations

import structlog

from exporter.model import OVERLAP_NS, SECOND_NS, Cursor
from exporter.sources.docker.engine import Engine, EngineError, EngineInfo, EventGap
from exporter.sources.docker.watch.config import WatchConfig
from exporter.sources.docker.watch.connection import Connection

log = structlog.get_logger(__name__)


class ResumePoint:
    """Cursor of an engine's events, kept from one connection to the next.

    ``event_gap`` says which events before the latest connection are lost. It is kept until a list was sent,
    since by then newer events may hide the gap. ``read_to_end``: the connection before the latest was read
    until a local engine closed it. (Over a network, the engine may have gone on, and ended only later.)
    """

    def __init__(self, engine: Engine, cursor: Cursor | None) -> None:
        self._engine = engine
        self._cursor = cursor
        self._closed_by_engine = False
        self.event_gap = EventGap.NONE
        self.read_to_end = False

    def connect(self, info: EngineInfo, config: WatchConfig) -> Connection:
        """Open a stream with the events since the cursor. Raises EngineError."""
        # Between two restarts without a list in between, events may be missing.
        self.read_to_end = self._closed_by_engine and self.event_gap is EventGap.NONE
        self._bound_by_clock(info.time_ns)
        since_ns = None if self._cursor is None else self._cursor.since_ns
        stream = self._engine.events(since_ns)
        try:
            cursor = self._update(info)
        except EngineError:
            stream.close()
            raise
        return Connection(info, stream, cursor, since_ns, config)

    def _bound_by_clock(self, now_ns: int) -> None:
        """Move a cursor that the engine's clock has not reached back to it; the list closes the gap.

        An engine would wait until that time before it answers a question about the events until then.
        """
        cursor = self._cursor
        ahead_ns = 0 if cursor is None else cursor.latest_ns - now_ns
        if cursor is None or ahead_ns <= OVERLAP_NS:
            return
        log.warning(
            "the engine's clock was set back; events are read from its present time on",
            engine=self._engine.address,
            seconds=ahead_ns // SECOND_NS,
        )
        self._cursor = cursor.bounded(now_ns)
        self.event_gap = EventGap.CLOCK_SET_BACK

    def clear_gap(self) -> None:
        """Note that a list was sent, which has the exits that the gap may hide."""
        self.event_gap = EventGap.NONE

    def leave(self, connection: Connection) -> None:
        """Note how a connection has ended, and up to where it was read."""
        self._closed_by_engine = self._engine.is_local and connection.closed_by_engine
        # If it is incomplete, events before the latest one may be missing.
        self._cursor = connection.checkpoint if connection.incomplete else connection.position

    def _update(self, info: EngineInfo) -> Cursor:
        """Note a gap since the cursor, and return the cursor to go on from."""
        cursor, now_ns = self._cursor, info.time_ns
        gap = EventGap.NONE if cursor is None else self._gap_since(cursor, now_ns)
        if cursor is None or gap is not EventGap.NONE:
            buffered = self._engine.buffered_events(1, now_ns)
            not_before_ns = now_ns if cursor is None else cursor.not_before_ns
            cursor = Cursor(buffered[-1].at_ns if buffered else 0, not_before_ns, now_ns)
        if gap is not EventGap.NONE:
            self.event_gap = gap
        self._cursor = cursor
        return cursor

    def _gap_since(self, cursor: Cursor, now_ns: int) -> EventGap:
        if self.event_gap is EventGap.CLOCK_SET_BACK:
            return self.event_gap
        return self._engine.event_gap(cursor, now_ns)
