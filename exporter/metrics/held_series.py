"""Series of which scrapes are shown an earlier value until all scrapers have seen that value.

A scraper cannot tell how much a series has grown that it never saw before. So a new counter or histogram is
shown as 0 first. The same holds for what is counted soon after a start: the totals of before are shown first.

What a source's first listing finds is history: it is hidden until the listing is on record, and then shown
at once, so that no part of it ever looks like an increase.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import takewhile

from exporter.frozen import frozen
from exporter.metrics.definitions import BY_NAME, MetricType
from exporter.model import SeriesKey

# Last label of a histogram's series for the sum.
SUM = "sum"


@frozen
class Change:
    """Change of the value of one series.

    ``before`` is None for a new series. ``history`` is the part that the first listings of ``sources`` found.
    """

    before: float | None
    history: float = 0
    sources: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Held:
    """Values that are shown of a counter, or of the parts of a histogram, since a time.

    While ``hidden_by`` has sources, it is not shown at all.
    """

    since: float
    shown: dict[SeriesKey, float] = field(default_factory=dict)
    hidden_by: set[str] = field(default_factory=set)

    def is_behind(self, values: Mapping[SeriesKey, float]) -> bool:
        """Return whether one of the values has changed since it was shown."""
        return any(values[key] != value for key, value in self.shown.items())


class HeldSeries:
    """Held series of a process, which began at ``started`` with the values ``shown`` to earlier scrapes.

    A histogram is held as a whole; its key is that of its sum. Not safe for threads.
    """

    def __init__(self, started: float, shown: Mapping[SeriesKey, float]) -> None:
        self._started = started
        self._totals_seen = False
        # In the order of ``since``.
        self._held: dict[SeriesKey, _Held] = {}
        self._hidden: dict[SeriesKey, _Held] = {}
        for key, value in shown.items():
            self._held.setdefault(whole(key), _Held(started)).shown[key] = value

    def hide(self, values: Mapping[SeriesKey, float], source: str) -> None:
        """Hide series until the listing of ``source`` is on record; ``values`` are those of all parts."""
        for key, value in values.items():
            if BY_NAME[key[0]].zero_first:
                self._hide(key, value, source)

    def _hide(self, key: SeriesKey, value: float, source: str) -> None:
        held = self._hidden.setdefault(whole(key), self._held.pop(whole(key), _Held(self._started)))
        held.shown.setdefault(key, value)
        held.hidden_by.add(source)

    def shown_after(self, key: SeriesKey, change: Change, values: Collection[SeriesKey]) -> float | None:
        """Return what is shown of a series after a change; None if it is the series' own value.

        ``values`` are the series before the update that the change belongs to.
        """
        if not BY_NAME[key[0]].zero_first:
            return None
        group = whole(key)
        held = self._held.get(group) or self._hidden.get(group)
        if held is not None:
            return held.shown.get(key, change.before or 0) + change.history
        if group not in values or not self._totals_seen:
            return (change.before or 0) + change.history
        return None

    def apply(self, changes: Mapping[SeriesKey, Change], values: Collection[SeriesKey], now: float) -> None:
        """Hold what has to be held after an update; ``values`` are the series before it."""
        shown = {key: self.shown_after(key, change, values) for key, change in changes.items()}
        for key, value in shown.items():
            if value is not None:
                # History of a series that is visible already cannot be hidden.
                can_hide = whole(key) not in values or whole(key) in self._hidden
                self._hold(key, value, now, changes[key].sources if can_hide else frozenset())

    def _hold(self, key: SeriesKey, value: float, now: float, sources: Collection[str]) -> None:
        group = whole(key)
        if sources and group not in self._hidden:
            self._hidden[group] = self._held.pop(group, _Held(now))
        held = self._find(key) or self._held.setdefault(group, _Held(now))
        held.shown[key] = value
        held.hidden_by.update(sources)

    def remove(self, key: SeriesKey) -> None:
        """Forget a series that was removed."""
        for series in (self._held, self._hidden):
            held = series.get(whole(key))
            if held is not None:
                held.shown.pop(key, None)
                if not held.shown:
                    del series[whole(key)]

    def listed(self, sources: Collection[str], now: float) -> None:
        """Show what was hidden by these sources; it is held at its history until all scrapers saw that."""
        for group, held in [*self._hidden.items()]:
            held.hidden_by.difference_update(sources)
            if not held.hidden_by:
                held.since = now
                self._held[group] = self._hidden.pop(group)

    def due(self, seen_until: float, values: Mapping[SeriesKey, float]) -> frozenset[SeriesKey]:
        """Return the held series whose value may be shown; those that show it already are held no longer."""
        self._totals_seen = self._totals_seen or self._started < seen_until
        seen = list(takewhile(lambda item: item[1].since < seen_until, self._held.items()))
        due = {group for group, held in seen if held.is_behind(values)}
        self.release(group for group, _ in seen if group not in due)
        return frozenset(due)

    def parts(self, groups: Iterable[SeriesKey]) -> list[SeriesKey]:
        """Return the series that these held ones consist of."""
        return [key for group in groups if group in self._held for key in self._held[group].shown]

    def release(self, groups: Iterable[SeriesKey]) -> None:
        """Show the values of held series."""
        for group in groups:
            self._held.pop(group, None)

    def show(self, values: dict[SeriesKey, float]) -> None:
        """Replace the values of held series by what is shown of them, and remove the hidden ones."""
        for held in self._held.values():
            values.update(held.shown)
        for held in self._hidden.values():
            for key in held.shown:
                values.pop(key, None)

    def keys(self) -> Iterator[SeriesKey]:
        """Yield all series of which scrapes are shown something else than their value."""
        for group in (*self._held, *self._hidden):
            yield from parts(group)

    def _find(self, key: SeriesKey) -> _Held | None:
        return self._held.get(whole(key)) or self._hidden.get(whole(key))


def whole(key: SeriesKey) -> SeriesKey:
    """Return the key under which a series is held: its own, or for a part of a histogram that of the sum."""
    name, labels = key
    return (name, (*labels[:-1], SUM)) if BY_NAME[name].type is MetricType.HISTOGRAM else key


def parts(group: SeriesKey) -> list[SeriesKey]:
    """Return the key of a counter or gauge, or those of a histogram: of its sum, then of its buckets."""
    name, labels = group
    metric = BY_NAME[name]
    if metric.type is not MetricType.HISTOGRAM:
        return [group]
    return [group, *((name, (*labels[:-1], str(bucket))) for bucket in range(len(metric.buckets) + 1))]
