"""Changes of series, which are collected for a batch of jobs and take effect together."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from exporter.metrics.definitions import Metric
from exporter.metrics.held_series import SUM, Change
from exporter.model import SeriesKey, Trace


@dataclass(frozen=True, slots=True)
class Exemplar:
    """Event that a series has counted, with its trace."""

    trace: Trace
    value: float
    at_ns: int


class MetricUpdate:
    """Changes of series: amounts to add, values to set, series to remove.

    While ``history_of`` is the address of a source, what is added is what its first listing found.
    """

    def __init__(self) -> None:
        self.history_of: str | None = None
        self._history: dict[SeriesKey, float] = {}
        self._sources: dict[SeriesKey, frozenset[str]] = {}
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
        if self.history_of is not None:
            self._history[key] = self._history.get(key, 0) + amount
            self._sources[key] = self._sources.get(key, frozenset()) | {self.history_of}

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
        copy._history, copy._sources = dict(self._history), dict(self._sources)
        copy._added, copy._set = dict(self._added), dict(self._set)
        copy._maxima, copy._removed = dict(self._maxima), set(self._removed)
        copy.exemplars = dict(self.exemplars)
        return copy

    def apply_to(self, values: Mapping[SeriesKey, float]) -> dict[SeriesKey, float | None]:
        """Return the new values of the changed series, given all current values; None: removed."""
        added = {key: values.get(key, 0) + amount for key, amount in self._added.items()}
        maxima = {key: max(value, values.get(key, value)) for key, value in self._maxima.items()}
        return {**added, **self._set, **maxima, **dict.fromkeys(self._removed)}

    def changes(self, values: Mapping[SeriesKey, float]) -> dict[SeriesKey, Change]:
        """Return how the series that get a value change, given all current values."""
        return {
            key: Change(values.get(key), self._history.get(key, 0), self._sources.get(key, frozenset()))
            for key in self.keys - self._removed
        }
