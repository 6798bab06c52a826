"""One open stream, and who sees to it that it is alive."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Self

from exporter.model import OVERLAP_NS, SECOND_NS, Cursor
from exporter.sources.docker.engine import EngineError, EngineInfo, Event, EventStream
from exporter.sources.docker.watch.unstarted import Unstarted

TICK_SECONDS = 1.0
STANDSTILL_SECONDS = 6.0
# More than an engine remembers.
_RECENT = 1_024


class Connection:
    """One open stream: what has been read of it, and why it ends.

    It tells what has happened since ``since_ns``; what happened up to ``resumed_ns`` it tells again, or
    late. ``sure`` is up to where it was confirmed that all has been read; it is ``in_doubt`` where that was
    found wrong, or can not be known.
    """

    def __init__(
        self,
        info: EngineInfo,
        stream: EventStream,
        cursor: Cursor,
        since_ns: int | None = None,
        unstarted: Unstarted | None = None,
    ) -> None:
        """Begin to read a stream that tells from ``since_ns`` on, None: from now."""
        self.info = info
        self.stream = stream
        self.cursor = cursor
        self.since_ns = info.time_ns if since_ns is None else since_ns
        self.replay_until_ns = 0 if since_ns is None else info.time_ns
        self.listed = False
        self.replaced = False
        self.ended = False
        self.incomplete = False
        self.unstarted = unstarted or Unstarted()
        self.sure: Cursor | None = None
        self._begun = time.monotonic()
        self._failure: EngineError | None = None
        self._reading = threading.Condition()
        self._recent: deque[tuple[str, int]] = deque(maxlen=_RECENT)
        self._touched: set[str] = set()

    @property
    def now_ns(self) -> int:
        """The engine's clock, as far as ours tells."""
        return self.info.time_ns + int((time.monotonic() - self._begun) * SECOND_NS)

    @property
    def seconds(self) -> float:
        """How long it has been open."""
        return time.monotonic() - self._begun

    @property
    def touched(self) -> frozenset[str]:
        """The containers of which something has been read."""
        with self._reading:
            return frozenset(self._touched)

    def passed(self, event: Event) -> None:
        """An event has been read and handed on."""
        self.unstarted.note(event)
        with self._reading:
            self._recent.append((event.container_id, event.at_ns))
            self._reading.notify_all()
            if not self.listed:
                self._touched.add(event.container_id)

    def await_passed(self, events: Sequence[Event], seconds: float) -> None:
        """Return once the last of these has been read. Raises EngineError if one of them is not."""
        wanted = [(event.container_id, event.at_ns) for event in events]
        with self._reading:
            self._reading.wait_for(lambda: self.ended or self._is_past(*wanted[-1]), seconds)
            if not set(wanted) <= set(self._recent):
                raise EngineError("the stream lacks events that the engine remembers")

    def _is_past(self, container_id: str, at_ns: int) -> bool:
        """Whether an event has been read, or one that the engine cannot have told before it."""
        latest_ns = self._recent[-1][1] if self._recent else 0
        return latest_ns > at_ns + OVERLAP_NS or (container_id, at_ns) in self._recent

    def replace(self) -> None:
        """End it, so that a new one is opened."""
        self.replaced = True
        self.stream.close()

    def fail(self, error: EngineError) -> None:
        """End it for a reason."""
        self._failure = error
        self.stream.close()

    def check(self) -> None:
        """Raise the reason for which it has ended, if there was one."""
        if self._failure is not None:
            raise self._failure

    @property
    def ended_itself(self) -> bool:
        """Whether, once it has ended, that was not our doing: its other side closed it."""
        return not (self.replaced or self.incomplete or self._failure)

    def close(self) -> None:
        """End it."""
        with self._reading:
            self.ended = True
            self._reading.notify_all()
        self.stream.close()


class StreamWatchdog:
    """Watches over a stream, beside the thread that reads it.

    ``every`` so many seconds it is confirmed that all has been read; after the ``longest`` time, or a
    standstill of this process (in which an engine drops what nobody takes), a new stream takes its place.
    """

    def __init__(
        self, connection: Connection, confirm: Callable[[Connection], None], *, every: float, longest: float
    ) -> None:
        self._connection = connection
        self._confirm = confirm
        self._every = every
        self._longest = longest
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="vigil", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # Not waited for: it may be asking an engine that does not answer.
        self._over.set()

    def _keep(self) -> None:
        ticked = confirmed = time.monotonic()
        while not self._over.wait(min(TICK_SECONDS, self._every)):
            before, ticked = ticked, time.monotonic()
            stood_still = ticked - before > STANDSTILL_SECONDS
            if stood_still:
                self._connection.incomplete = True
                # What waits in the stream is read first: much of it the engine has forgotten by now. What
                # it lacks is what the new one is for.
                with suppress(EngineError):
                    self._confirm(self._connection)
            if self._connection.listed and (
                self._connection.incomplete or self._connection.seconds > self._longest
            ):
                self._connection.replace()
                return
            if ticked - confirmed >= self._every:
                if not self._confirmed():
                    return
                confirmed = ticked

    def _confirmed(self) -> bool:
        try:
            self._confirm(self._connection)
        except EngineError as error:
            if not self._over.is_set():
                self._connection.incomplete = True
                self._connection.fail(error)
            return False
        return True
