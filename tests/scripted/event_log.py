"""Event buffer of the scripted engine, and the streams that are open."""

import json
import math
import socket
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from enum import Enum
from itertools import takewhile
from threading import Condition
from typing import Any, NamedTuple

from tests.scripted.event_query import EventQuery
from tests.scripted.times import SECOND
from tests.scripted.wire import encoded

BUFFER_SIZE = 256
"""Size of the event buffer, for all types together."""

BATCH = 1000
"""Largest number of lines that are sent at once."""


class Ending(Enum):
    """End of a stream: with the closing chunk of a complete answer, or without."""

    CLOSED = "closed"
    TORN = "torn"


class Entry(NamedTuple):
    """Line of the stream, and its event if it has one."""

    time_nano: int
    line: bytes
    event: Mapping[str, Any] | None


class Stream:
    """Stream of one reader: the lines to send, and its end.

    Its own thread takes from it; all else is done by the log, which holds the lock meanwhile.
    """

    def __init__(self, lock: Condition, query: EventQuery) -> None:
        self._lock = lock
        self._query = query
        self._pending: deque[bytes] = deque()
        self._held: deque[bytes] | None = None
        self._ending: Ending | None = None
        self._readable, self._writable = socket.socketpair()
        self._readable.settimeout(0)

    def fileno(self) -> int:
        """Return a file descriptor that is readable when there is something to take."""
        return self._readable.fileno()

    def seconds_left(self) -> float:
        """Return how long the stream stays open: until the requested time, if any."""
        return math.inf if self._query.until is None else (self._query.until - time.time_ns()) / SECOND

    def take(self) -> tuple[list[bytes], Ending | None]:
        """Return the next lines, and the ending once there are no more."""
        with self._lock:
            lines = [self._pending.popleft() for _ in range(min(BATCH, len(self._pending)))]
            if self._pending:
                return lines, None
            self._clear_notification()
            return lines, self._ending or (Ending.CLOSED if self.seconds_left() <= 0 else None)

    def put(self, entry: Entry) -> None:
        """Queue a line if it matches the query."""
        if self._query.admits(entry.event):
            self._queue(entry.line)

    def hold(self) -> None:
        """Hold back all lines from now on."""
        self._held = self._held if self._held is not None else deque()

    def release(self) -> None:
        """Send the lines that were held back, and new ones."""
        held, self._held = self._held or (), None
        for line in held:
            self._queue(line)

    def end(self, ending: Ending, tail: bytes = b"") -> None:
        """End once all queued lines and the tail are sent; lines that are held back are lost."""
        self._pending.extend([tail] if tail else [])
        self._ending = ending
        self._notify()

    def close(self) -> None:
        """Close the sockets of the notification."""
        self._readable.close()
        self._writable.close()

    def _queue(self, line: bytes) -> None:
        if self._held is not None:
            self._held.append(line)
            return
        self._pending.append(line)
        if len(self._pending) == 1:
            self._notify()

    def _notify(self) -> None:
        self._writable.send(b"!")

    def _clear_notification(self) -> None:
        """Clear the notification: nothing is left to take."""
        with suppress(BlockingIOError):
            self._readable.recv(BATCH)


class EventLog:
    """Buffer of past events, and the open streams. Methods may be called from any thread."""

    def __init__(self, reach: int | None = BUFFER_SIZE) -> None:
        self._changed = Condition()
        self._buffer: deque[Entry] = deque(maxlen=reach)
        self._open: list[Stream] = []
        self._served: list[Stream] = []

    def add(self, event: Mapping[str, Any] | bytes) -> None:
        """Keep the event and send it to every open stream."""
        entry = self._entry(event)
        with self._changed:
            self._buffer.append(entry)
            for stream in self._open:
                stream.put(entry)

    def remember(self, event: Mapping[str, Any] | bytes) -> None:
        """Keep the event, but send it to no stream that is open."""
        entry = self._entry(event)
        with self._changed:
            self._buffer.append(entry)

    def forget(self) -> None:
        """Empty the buffer."""
        with self._changed:
            self._buffer.clear()

    def open(self, query: EventQuery) -> Stream:
        """Open a stream: first the replay that the query asks for, then new events."""
        with self._changed:
            stream = Stream(self._changed, query)
            for entry in self.replay(query):
                stream.put(entry)
            self._served.append(stream)
            if stream.seconds_left() > 0:
                self._open.append(stream)
            self._changed.notify_all()
            return stream

    def replay(self, query: EventQuery) -> list[Entry]:
        """Return the kept events in the times of the query, oldest first."""
        return self._recent(query)[::-1] if query.wants_replay else []

    def close(self, stream: Stream) -> None:
        """Remove a stream that was served to its end, or whose reader has left."""
        with self._changed:
            self._open = [other for other in self._open if other is not stream]
            self._served.remove(stream)
            stream.close()
            self._changed.notify_all()

    def cut(self, ending: Ending, tail: bytes = b"") -> None:
        """End every open stream; none is open when this returns."""
        with self._changed:
            for stream in self._open:
                stream.end(ending, tail)
            self._open = []
            self._changed.notify_all()

    def hold(self) -> None:
        """Hold back the lines of every open stream."""
        with self._changed:
            for stream in self._open:
                stream.hold()

    def release(self) -> None:
        """Send the open streams what was held back, and new lines."""
        with self._changed:
            for stream in self._open:
                stream.release()

    def wait_for_streams(self, count: int, seconds: float) -> None:
        """Return once this many streams are open. Raises TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._open) == count, seconds):
                message = f"waited {seconds} s for {count} event streams, {len(self._open)} are open"
                raise TimeoutError(message)

    def wait_until_served(self, seconds: float) -> None:
        """Return once every stream is sent to its end; give up after that time."""
        with self._changed:
            self._changed.wait_for(lambda: not self._served, seconds)

    def _recent(self, query: EventQuery) -> list[Entry]:
        """Return the events from the newest back to the first that is too old, as an engine does.

        If times step back, events before that one are not found, even if they are young enough.
        """
        since, until = query.since or 0, query.until or math.inf
        reached = takewhile(lambda entry: entry.time_nano >= since, reversed(self._buffer))
        return [entry for entry in reached if entry.time_nano <= until]

    def _entry(self, event: Mapping[str, Any] | bytes) -> Entry:
        line = event if isinstance(event, bytes) else encoded(event)
        parsed = parsed_event(line) if isinstance(event, bytes) else event
        return Entry(self._time_of(parsed), line.removesuffix(b"\n") + b"\n", parsed)

    def _time_of(self, event: Mapping[str, Any] | None) -> int:
        """Return the event's time; for a line without one, that of the event before it."""
        stated = (event or {}).get("timeNano")
        if isinstance(stated, int):
            return stated
        with self._changed:
            return self._buffer[-1].time_nano if self._buffer else time.time_ns()


def parsed_event(line: bytes) -> Mapping[str, Any] | None:
    """Return the event in a raw line, or None."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
