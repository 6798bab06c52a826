"""Open event stream of an engine, and what has been read of it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from exporter.model import OVERLAP_NS, SECOND_NS, Cursor
from exporter.sources.docker.engine import EVENT_BUFFER_SIZE, EngineError, EngineInfo, Event, EventStream
from exporter.sources.docker.watch.config import WatchConfig
from exporter.sources.docker.watch.unstarted import UnstartedContainers

# Four times the buffer: an event that the engine still has must be found here, although events arrive
# between its answer and the comparison.
_RECENT_EVENTS = 4 * EVENT_BUFFER_SIZE


class Connection:
    """Open event stream. Methods may be called from any thread.

    The stream has the events after ``since_ns``; those up to ``replay_until_ns`` are replays. ``checkpoint``
    is the last point up to which reading is known to be complete; ``incomplete`` is set when that was found
    wrong or cannot be known. ``listed``: a list of containers was sent. ``replaced``: a new stream shall
    follow at once. ``ended``: nothing is read any more.
    """

    def __init__(
        self,
        info: EngineInfo,
        stream: EventStream,
        cursor: Cursor,
        since_ns: int | None,
        config: WatchConfig,
    ) -> None:
        """Wrap a stream with the events after ``since_ns``; None: only new events."""
        self.info = info
        self.stream = stream
        self.cursor = cursor
        self.since_ns = info.time_ns if since_ns is None else since_ns
        self.replay_until_ns = 0 if since_ns is None else info.time_ns
        self.checkpoint = cursor
        self.listed = False
        self.replaced = False
        self.ended = False
        self.incomplete = False
        self.unstarted = UnstartedContainers(config.start_grace)
        self._catch_up_seconds = config.catch_up
        self._opened = time.monotonic()
        self._failure: EngineError | None = None
        self._read = threading.Condition()
        # How many wait for events to be read: to wake nobody would cost more than all else here.
        self._waiting = 0
        self._recent: deque[tuple[str, int]] = deque(maxlen=_RECENT_EVENTS)
        self._seen_ids: set[str] = set()

    @property
    def now_ns(self) -> int:
        """Time on the engine's clock, estimated with ours."""
        return self.info.time_ns + int(self.age_seconds * SECOND_NS)

    @property
    def age_seconds(self) -> float:
        """Time since the stream was opened."""
        return time.monotonic() - self._opened

    @property
    def position(self) -> Cursor:
        """Cursor at the latest event that was read."""
        with self._read:
            read_ns = self._recent[-1][1] if self._recent else None
        return (
            self.cursor if read_ns is None else replace(self.cursor, event_ns=read_ns, read_until_ns=read_ns)
        )

    @property
    def seen_ids(self) -> frozenset[str]:
        """Containers with an event that was read before the list."""
        with self._read:
            return frozenset(self._seen_ids)

    def mark_read(self, events: Sequence[Event]) -> None:
        """Note that events have been read and handed on."""
        self.unstarted.observe(events)
        read = [(event.container_id, event.at_ns) for event in events if event.container_id]
        with self._read:
            self._recent.extend(read)
            if self._waiting:
                self._read.notify_all()
            if not self.listed:
                self._seen_ids.update(container_id for container_id, _ in read)

    def wait_until_read(self, events: Sequence[Event]) -> None:
        """Return once the last of these events is read. Raises EngineError if one of them is missing then."""
        expected = [(event.container_id, event.at_ns) for event in events]
        with self._read:
            self._waiting += 1
            self._read.wait_for(lambda: self.ended or self._has_passed(*expected[-1]), self._catch_up_seconds)
            self._waiting -= 1
            if not set(expected) <= set(self._recent):
                raise EngineError("the stream lacks events that the engine still has")

    def _has_passed(self, container_id: str, at_ns: int) -> bool:
        """Return whether this event was read, or one that the engine cannot have sent before it."""
        latest_ns = self._recent[-1][1] if self._recent else 0
        return latest_ns > at_ns + OVERLAP_NS or (container_id, at_ns) in self._recent

    def replace(self) -> None:
        """End the stream, so that a new one is opened at once."""
        self.replaced = True
        self.stream.close()

    def fail(self, error: EngineError) -> None:
        """End the stream for a reason, which ``raise_failure`` raises."""
        self._failure = error
        self.stream.close()

    def raise_failure(self) -> None:
        """Raise the error for which the stream was ended, if there is one."""
        if self._failure is not None:
            raise self._failure

    @property
    def closed_by_engine(self) -> bool:
        """True if, once the stream has ended, the other side closed it."""
        return not (self.replaced or self.incomplete or self._failure)

    def close(self) -> None:
        """End the stream, and wake those who wait for an event to be read."""
        with self._read:
            self.ended = True
            self._read.notify_all()
        self.stream.close()
