"""Current value of every series, and updates that are applied to all of them at once.

Updates of jobs become visible only when they are committed to the store: a MetricUpdate collects the
changes of a batch, ``values_to_store`` returns what to commit, ``apply_committed`` makes it visible.
Updates of the exporter itself are visible at once (a failing store must show) and are committed with the
next batch.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from exporter.metrics.definitions import BY_NAME, Metric
from exporter.model import SeriesKey, Trace

# Last label of a histogram's series for the sum.
SUM = "sum"


@dataclass(frozen=True, slots=True)
class Exemplar:
    """Event that a series has counted, with its trace."""

    trace: Trace
    value: float
    at_ns: int


class MetricUpdate:
    """Changes of series: amounts to add, values to set, series to remove."""

    def __init__(self) -> None:
        self._added: dict[SeriesKey, float] = {}
        self._set: dict[SeriesKey, float] = {}
        self._maxima: dict[SeriesKey, float] = {}
        self._removed: set[SeriesKey] = set()
        self.exemplars: dict[SeriesKey, Exemplar] = {}

    def __bool__(self) -> bool:
        """Return whether there are any changes."""
        return bool(self._added or self._set or self._maxima or self._removed)

    def add(self, metric: Metric, labels: tuple[str, ...] = (), amount: float = 1) -> None:
        """Add to a counter or gauge; 0 creates the series, so that its first event is an increase."""
        key = (metric.name, labels)
        self._added[key] = self._added.get(key, 0) + amount

    def observe(
        self, metric: Metric, labels: tuple[str, ...], value: float, exemplar: Exemplar | None = None
    ) -> None:
        """Add a value to a histogram."""
        bucket = str(bisect_left(metric.buckets, value))
        for part, amount in ((bucket, 1.0), (SUM, value)):
            self.add(metric, (*labels, part), amount)
        self.set_exemplar(metric, (*labels, bucket), exemplar)

    def set_exemplar(self, metric: Metric, labels: tuple[str, ...], exemplar: Exemplar | None) -> None:
        """Set the latest exemplar of a series; None keeps the one that it has."""
        if exemplar is not None:
            self.exemplars[metric.name, labels] = exemplar

    def set(self, metric: Metric, labels: tuple[str, ...], value: float) -> None:
        """Set a gauge."""
        self._set[metric.name, labels] = value

    def set_max(self, metric: Metric, labels: tuple[str, ...], value: float) -> None:
        """Set a gauge unless it has a higher value."""
        key = (metric.name, labels)
        self._maxima[key] = max(value, self._maxima.get(key, value))

    def remove(self, keys: Iterable[SeriesKey]) -> None:
        """Remove series, whatever else this update does to them."""
        self._removed.update(keys)

    @property
    def keys(self) -> frozenset[SeriesKey]:
        """Series that get a value."""
        return frozenset({*self._added, *self._set, *self._maxima})

    def copy(self) -> MetricUpdate:
        """Return an independent copy."""
        copy = MetricUpdate()
        copy._added, copy._set = dict(self._added), dict(self._set)
        copy._maxima, copy._removed = dict(self._maxima), set(self._removed)
        copy.exemplars = dict(self.exemplars)
        return copy

    def apply_to(self, values: Mapping[SeriesKey, float]) -> dict[SeriesKey, float | None]:
        """Return the new values of the changed series, given all current values; None: removed."""
        added = {key: values.get(key, 0) + amount for key, amount in self._added.items()}
        maxima = {key: max(value, values.get(key, value)) for key, value in self._maxima.items()}
        return {**added, **self._set, **maxima, **dict.fromkeys(self._removed)}


class MetricState:
    """All series of this process. Every method may be called from any thread."""

    def __init__(self, stored: Mapping[SeriesKey, float]) -> None:
        self._lock = threading.Lock()
        # A newer version may have stored metrics that this one does not know.
        self._values = {key: value for key, value in stored.items() if key[0] in BY_NAME}
        self._uncommitted: set[SeriesKey] = set()
        self._exemplars: dict[SeriesKey, Exemplar] = {}

    def snapshot(self) -> dict[SeriesKey, float]:
        """Return the values of all series at one moment."""
        with self._lock:
            return dict(self._values)

    def exemplars(self) -> dict[SeriesKey, Exemplar]:
        """Return the latest exemplars; they do not survive a restart."""
        with self._lock:
            return dict(self._exemplars)

    def value(self, metric: Metric, labels: tuple[str, ...] = ()) -> float:
        """Return the value of a series, 0 if it does not exist."""
        with self._lock:
            return self._values.get((metric.name, labels), 0)

    def apply(self, update: MetricUpdate) -> None:
        """Make an update visible at once; it is committed with the next batch."""
        with self._lock:
            self._apply(update)

    def apply_committed(self, update: MetricUpdate, committed: Mapping[SeriesKey, float | None]) -> None:
        """Make an update visible whose ``committed`` values are in the store."""
        with self._lock:
            self._apply(update)
            # What changed during the commit has to be committed again.
            self._uncommitted -= {key for key, value in committed.items() if self._values.get(key) == value}

    def values_to_store(self, update: MetricUpdate) -> dict[SeriesKey, float | None]:
        """Return what to commit for this update and all that is not committed yet; None: removed."""
        with self._lock:
            values = {key: self._values.get(key) for key in self._uncommitted}
            values |= update.apply_to(self._values)
        return {key: value for key, value in values.items() if BY_NAME[key[0]].persistent}

    def preview(self, update: MetricUpdate) -> dict[SeriesKey, float | None]:
        """Return the values that this update alone would lead to; None: removed."""
        with self._lock:
            return update.apply_to(self._values)

    def _apply(self, update: MetricUpdate) -> None:
        values = update.apply_to(self._values)
        self._exemplars.update(update.exemplars)
        for key, value in values.items():
            if value is None:
                self._values.pop(key, None)
                self._exemplars.pop(key, None)
            else:
                self._values[key] = value
        self._uncommitted.update(key for key in values if BY_NAME[key[0]].persistent)
