"""The time of day of an engine, which can be stepped: what happened before a step keeps the time it had."""

from __future__ import annotations

import re
import time
from bisect import bisect_right
from collections.abc import Iterable, Iterator

from exporter.model import SECOND_NS
from exporter.sources.docker.api.scalars import parse_time
from tests.scripted.times import format_rfc3339

_EVENT_TIME = re.compile(rb'"time":\d+,"timeNano":(\d+)')
_TEXT_TIME = re.compile(rb"\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")


class EngineClock:
    """The system's time of day, plus the seconds by which it was stepped when something happened.

    ``steps`` are the times at which it was stepped, and how far ahead it was from then on, in nanoseconds.
    """

    def __init__(self) -> None:
        self.steps: list[tuple[int, int]] = [(0, 0)]

    def step(self, seconds: int) -> None:
        """Let the clock be so many seconds ahead of the system's from now on."""
        self.steps.append((time.time_ns(), seconds * SECOND_NS))

    def shown_ns(self, at_ns: int) -> int:
        """Return what the clock showed at a time of the system's."""
        # The steps lie in order; at the same time, the last one counts.
        return at_ns + self.steps[bisect_right(self.steps, at_ns, key=lambda step: step[0]) - 1][1]

    def rewrite(self, text: bytes) -> bytes:
        """Return an answer of the engine, or an event, as an engine with this clock would have sent it."""
        text = _TEXT_TIME.sub(lambda found: self._text(found[0]), text)
        return _EVENT_TIME.sub(lambda found: _event_time(self.shown_ns(int(found[1]))), text)

    def before(self, shown_ns: int, events: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the events that did not show a later time, as an engine with this clock sends them."""
        yield from (
            self.rewrite(line) + b"\n" for line in events if self.shown_ns(_event_ns(line)) <= shown_ns
        )

    def since(self, shown_ns: int, events: Iterable[bytes]) -> int:
        """Return the system's time of the first of all its events that an engine sends for ``since``.

        It goes back through them, and stops at the first one that has an older time.
        """
        times = [_event_ns(line) for line in events]
        first = max(times, default=0) + 1
        for at_ns in reversed(times):
            if self.shown_ns(at_ns) < shown_ns:
                break
            first = at_ns
        return first

    def until(self, shown_ns: int) -> int:
        """Return until when an engine reads events for ``until``: never in the past, where it sends less."""
        now_ns = time.time_ns()
        return max(now_ns, now_ns + shown_ns - self.shown_ns(now_ns))

    def _text(self, text: bytes) -> bytes:
        return format_rfc3339(self.shown_ns(parse_time(text.decode()) or 0)).encode()


def _event_ns(line: bytes) -> int:
    """Return the time of an event; 0 of what is none."""
    found = _EVENT_TIME.search(line)
    return int(found[1]) if found else 0


def _event_time(at_ns: int) -> bytes:
    return b'"time":%d,"timeNano":%d' % (at_ns // SECOND_NS, at_ns)
