"""The time span of a chart, and its intervals."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from exporter.config.duration import format_duration
from exporter.model import SECOND_NS
from exporter.time_units import DAY_NS

_YEAR_NS = 365 * DAY_NS
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_MAX_INTERVALS = 48
_INTERVALS = tuple(
    seconds * SECOND_NS
    for seconds in (
        *(number * _MINUTE for number in (1, 2, 5, 10, 15)),
        *(number * _HOUR for number in (1, 2, 3, 6, 12)),
        *(number * _DAY for number in (1, 2, 7, 14, 30, 90, 365)),
    )
)


@dataclass(frozen=True, slots=True)
class Span:
    """Time from ``since_ns`` until ``until_ns``; intervals begin at multiples of their length in UTC."""

    since_ns: int
    until_ns: int

    @property
    def interval_ns(self) -> int:
        """Length of an interval, so that there are enough of them and not too many."""
        length = self.until_ns - self.since_ns
        return next((each for each in _INTERVALS if length <= each * _MAX_INTERVALS), _INTERVALS[-1])

    @property
    def intervals(self) -> list[int]:
        """Beginnings of the newest intervals, the oldest first."""
        last = self.until_ns // self.interval_ns
        first = max(self.since_ns // self.interval_ns, last - _MAX_INTERVALS)
        return [number * self.interval_ns for number in range(first, last + 1)]

    def label(self, at_ns: int) -> str:
        """Return a time for the axis of a chart: of the day, or the date in a long span."""
        time = datetime.fromtimestamp(at_ns // SECOND_NS, UTC)
        length_ns = self.until_ns - self.since_ns
        if length_ns <= 2 * DAY_NS:
            return f"{time:%H:%M}"
        return f"{time:%d %b}" if length_ns <= _YEAR_NS else f"{time:%Y-%m}"

    def described(self, *, until_now: bool) -> str:
        """Return the span in words: ``in the last 24h``."""
        if until_now:
            length = format_duration(round((self.until_ns - self.since_ns) / SECOND_NS))
            return f"in the last {'24h' if length == '1d' else length}"
        return f"from {moment_text(self.since_ns)} to {moment_text(self.until_ns)}"


def moment_text(at_ns: int) -> str:
    """Return a moment for people: ``2026-03-01 12:00:00 UTC``."""
    return f"{datetime.fromtimestamp(at_ns // SECOND_NS, UTC):%Y-%m-%d %H:%M:%S} UTC"


def moment_parameter(at_ns: int) -> str:
    """Return a moment as a parameter of an address."""
    return f"{datetime.fromtimestamp(at_ns // SECOND_NS, UTC):%Y-%m-%dT%H:%M:%SZ}"
