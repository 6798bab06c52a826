"""What the scripted engine remembers of its events, and who is reading them."""

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

RING = 256
"""How many events an engine remembers, all types together."""

BATCH = 1000
"""How many lines are sent at most before the stream looks up again."""


class Ending(Enum):
    """How a stream ends: with the closing chunk of a whole answer, or torn off in the middle."""

    CLOSED = "closed"
    TORN = "torn"


class Entry(NamedTuple):
    """One line of the stream, with the event in it, if it is one."""

    time_nano: int
    line: bytes
    event: Mapping[str, Any] | None


class Stream:
    """One reader's share of the events: what is still to be sent, and whether it goes on.

    Its own thread takes from it; all else is done by the log, which holds the lock meanwhile.
    """

    def __init__(self, lock: Condition, query: EventQuery) -> None:
        self._lock = lock
        self._query = query
        self._pending: deque[bytes] = deque()
        self._held: deque[bytes] | None = None
        self._ending: Ending | None = None
        self._bell, self._rope = socket.socketpair()
        self._bell.settimeout(0)

    def fileno(self) -> int:
        """Give what becomes readable when there is something to take."""
        return self._bell.fileno()

    def seconds_left(self) -> float:
        """Tell for how long the stream goes on by itself: until the time that was asked for, if any."""
        return math.inf if self._query.until is None else (self._query.until - time.time_ns()) / SECOND

    def take(self) -> tuple[list[bytes], Ending | None]:
        """Give the next lines, and the ending once there are no more."""
        with self._lock:
            lines = [self._pending.popleft() for _ in range(min(BATCH, len(self._pending)))]
            if self._pending:
                return lines, None
            self._answer_bell()
            return lines, self._ending or (Ending.CLOSED if self.seconds_left() <= 0 else None)

    def put(self, entry: Entry) -> None:
        """Queue a line, if the reader asked for such."""
        if self._query.admits(entry.event):
            self._queue(entry.line)

    def hold(self) -> None:
        """Send nothing of what comes from now on."""
        self._held = self._held if self._held is not None else deque()

    def release(self) -> None:
        """Send what was held, and what comes."""
        held, self._held = self._held or (), None
        for line in held:
            self._queue(line)

    def end(self, ending: Ending, last_words: bytes = b"") -> None:
        """End when all that is queued is sent, and the last words after it; what is held is lost."""
        self._pending.extend([last_words] if last_words else [])
        self._ending = ending
        self._ring_bell()

    def close(self) -> None:
        """Give back the sockets of the bell."""
        self._bell.close()
        self._rope.close()

    def _queue(self, line: bytes) -> None:
        if self._held is not None:
            self._held.append(line)
            return
        self._pending.append(line)
        if len(self._pending) == 1:
            self._ring_bell()

    def _ring_bell(self) -> None:
        self._rope.send(b"!")

    def _answer_bell(self) -> None:
        """Make the bell silent: nothing is left to take."""
        with suppress(BlockingIOError):
            self._bell.recv(BATCH)


class EventLog:
    """The ring of past events and the open streams, safe to use from any thread."""

    def __init__(self, reach: int | None = RING) -> None:
        self._changed = Condition()
        self._ring: deque[Entry] = deque(maxlen=reach)
        self._open: list[Stream] = []
        self._served: list[Stream] = []

    def add(self, event: Mapping[str, Any] | bytes) -> None:
        """Remember the event and send it to every open stream."""
        entry = self._entry(event)
        with self._changed:
            self._ring.append(entry)
            for stream in self._open:
                stream.put(entry)

    def remember(self, event: Mapping[str, Any] | bytes) -> None:
        """Remember the event, but send it to none of the streams that are open."""
        entry = self._entry(event)
        with self._changed:
            self._ring.append(entry)

    def forget(self) -> None:
        """Empty the ring."""
        with self._changed:
            self._ring.clear()

    def open(self, query: EventQuery) -> Stream:
        """Open a stream: first the replay that was asked for, then all that comes."""
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
        """Give the remembered events that the query's times ask for, oldest first."""
        return self._recent(query)[::-1] if query.wants_replay else []

    def close(self, stream: Stream) -> None:
        """Forget a stream that was served to its end, or whose reader has gone."""
        with self._changed:
            self._open = [other for other in self._open if other is not stream]
            self._served.remove(stream)
            stream.close()
            self._changed.notify_all()

    def cut(self, ending: Ending, last_words: bytes = b"") -> None:
        """End every open stream; none is open when this returns."""
        with self._changed:
            for stream in self._open:
                stream.end(ending, last_words)
            self._open = []
            self._changed.notify_all()

    def hold(self) -> None:
        """Let every stream that is open hang."""
        with self._changed:
            for stream in self._open:
                stream.hold()

    def release(self) -> None:
        """Let the streams that hang go on with what was held back."""
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
        """Block until every stream has been sent to its end, or its reader was given up."""
        with self._changed:
            self._changed.wait_for(lambda: not self._served, seconds)

    def _recent(self, query: EventQuery) -> list[Entry]:
        """Go back from the newest event, as an engine does, to the first one that is too old.

        Where times step back, what stands before that one is not found, even if it is young enough.
        """
        since, until = query.since or 0, query.until or math.inf
        reached = takewhile(lambda entry: entry.time_nano >= since, reversed(self._ring))
        return [entry for entry in reached if entry.time_nano <= until]

    def _entry(self, event: Mapping[str, Any] | bytes) -> Entry:
        line = event if isinstance(event, bytes) else encoded(event)
        parsed = parsed_event(line) if isinstance(event, bytes) else event
        return Entry(self._time_of(parsed), line.removesuffix(b"\n") + b"\n", parsed)

    def _time_of(self, event: Mapping[str, Any] | None) -> int:
        """Give the event's time; for a line without one, that of the event before it."""
        stated = (event or {}).get("timeNano")
        if isinstance(stated, int):
            return stated
        with self._changed:
            return self._ring[-1].time_nano if self._ring else time.time_ns()


def parsed_event(line: bytes) -> Mapping[str, Any] | None:
    """Give the event in a raw line, None where it holds none."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
