"""A chart of exits over time as rectangles: above the line by reason, below it those that were done.

The two have scales of their own, since a few failures among thousands of successes would not be seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from exporter.model import Status
from exporter.store import IntervalCount
from exporter.web.page.colours import reason_class
from exporter.web.page.spans import Span

BAR_WIDTH, GAP = 20, 4
ABOVE, BELOW = 80, 24
_LEAST = 3
_TICKS = 6


@dataclass(frozen=True, slots=True)
class Rectangle:
    """Part of a bar."""

    y: float
    height: float
    css_class: str


@dataclass(frozen=True, slots=True)
class Bar:
    """Exits of one interval, and the address of the jobs that ended in it."""

    x: int
    href: str
    title: str
    parts: tuple[Rectangle, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars, the largest number on each side of the line, and labels; ``summary`` is for those who listen."""

    width: int
    bars: tuple[Bar, ...]
    most_not_done: int
    most_done: int
    ticks: tuple[str, ...]
    summary: str


def chart_of(counts: Iterable[IntervalCount], span: Span, href: Callable[[int], str]) -> Chart:
    """Return the chart of these counts; ``href`` returns the address of an interval by its beginning."""
    starts = span.intervals
    columns: dict[int, list[IntervalCount]] = {start: [] for start in starts}
    for count in counts:
        columns[min(max(count.from_ns, starts[0]), starts[-1])].append(count)
    most = max((_total(column, done=False) for column in columns.values()), default=0)
    most_done = max((_total(column, done=True) for column in columns.values()), default=0)
    bars = [
        Bar(
            number * BAR_WIDTH,
            href(start),
            _title(span, start, column),
            (*_above(column, most), *_below(column, most_done)),
        )
        for number, (start, column) in enumerate(columns.items())
        if column
    ]
    ticks = starts[:: max(1, len(starts) // _TICKS)]
    labels = tuple(span.label(start) for start in ticks)
    return Chart(len(starts) * BAR_WIDTH, tuple(bars), most, most_done, labels, _summary(bars))


def _total(column: Iterable[IntervalCount], *, done: bool) -> int:
    return sum(each.count for each in column if (each.status is Status.DONE) is done)


def _above(column: Iterable[IntervalCount], most: int) -> Iterable[Rectangle]:
    bottom = float(ABOVE)
    for reason, number in _by_reason(each for each in column if each.status is not Status.DONE).items():
        height = max(_LEAST, number / most * (ABOVE - _LEAST))
        bottom = max(0.0, bottom - height)
        yield Rectangle(round(bottom, 1), round(height, 1), reason_class(reason))


def _below(column: Iterable[IntervalCount], most: int) -> Iterable[Rectangle]:
    number = _total(column, done=True)
    if number:
        height = max(_LEAST, number / most * BELOW)
        yield Rectangle(ABOVE + 1, round(height, 1), reason_class("Completed"))


def _by_reason(column: Iterable[IntervalCount]) -> dict[str, int]:
    """Return the numbers by reason, the largest first."""
    numbers: dict[str, int] = {}
    for each in column:
        numbers[each.reason] = numbers.get(each.reason, 0) + each.count
    return dict(sorted(numbers.items(), key=lambda item: (-item[1], item[0])))


def _title(span: Span, start: int, column: Iterable[IntervalCount]) -> str:
    numbers = ", ".join(f"{number} {reason}" for reason, number in _by_reason(column).items())
    return f"{span.label(start)} to {span.label(start + span.interval_ns)} UTC: {numbers}"


def _summary(bars: Iterable[Bar]) -> str:
    return "; ".join(bar.title for bar in bars) or "no exits"
