"""The ledger: the current value of every series, changed in one stroke.

What concerns jobs is published only once it is committed: ``Changes`` collects what a batch will
do, ``values`` says what to store, ``publish`` makes it visible. What concerns the exporter itself
is visible at once (a store that fails must show) and stored along with the next batch.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from exporter.metrics.definitions import BY_NAME, Metric
from exporter.model import Trace

# A series is (name, label values). Of a histogram, one for each bucket's own count (with the index
# of the bucket as a last label) and one, "sum", for the sum.
Key = tuple[str, tuple[str, ...]]
SUM = "sum"


@dataclass(frozen=True, slots=True)
class Exemplar:
    """One event that a series has counted, and the span that tells of it."""

    trace: Trace
    value: float
    at_ns: int


class MetricUpdate:
    """What is to happen to series: amounts to add, or values to set. Exemplars are of the latest event."""

    def __init__(self) -> None:
        self.exemplars: dict[Key, Exemplar] = {}
        self.added: dict[Key, float] = {}
        self.set_to: dict[Key, float] = {}
        self.raised_to: dict[Key, float] = {}
        self.gone: set[Key] = set()

    def add(self, metric: Metric, labels: tuple[str, ...] = (), amount: float = 1) -> None:
        """Count; an amount of 0 makes the series exist, so that its first event is an increase."""
        key = (metric.name, labels)
        self.added[key] = self.added.get(key, 0) + amount

    def observe(
        self, metric: Metric, labels: tuple[str, ...], value: float, exemplar: Exemplar | None = None
    ) -> None:
        """Put a value into a histogram."""
        bucket = str(bisect_left(metric.buckets, value))
        for part, amount in ((bucket, 1.0), (SUM, value)):
            self.add(metric, (*labels, part), amount)
        self.set_exemplar(metric, (*labels, bucket), exemplar)

    def set_exemplar(self, metric: Metric, labels: tuple[str, ...], exemplar: Exemplar | None) -> None:
        """Say which event this is, if it has a span."""
        if exemplar is not None:
            self.exemplars[metric.name, labels] = exemplar

    def set(self, metric: Metric, labels: tuple[str, ...], value: float) -> None:
        """Give a gauge its value."""
        self.set_to[metric.name, labels] = value

    def set_max(self, metric: Metric, labels: tuple[str, ...], value: float) -> None:
        """Give a gauge its value, unless it is higher already."""
        key = (metric.name, labels)
        self.raised_to[key] = max(value, self.raised_to.get(key, value))

    def end(self, keys: Iterable[Key]) -> None:
        """Let series be no more, whatever else happens to them."""
        self.gone.update(keys)

    @property
    def keys(self) -> frozenset[Key]:
        """The series that these changes touch."""
        return frozenset({*self.added, *self.set_to, *self.raised_to})

    def copy(self) -> MetricUpdate:
        """The same, to be gone on with."""
        copy = MetricUpdate()
        copy.added, copy.set_to, copy.raised_to = dict(self.added), dict(self.set_to), dict(self.raised_to)
        copy.exemplars, copy.gone = dict(self.exemplars), set(self.gone)
        return copy

    def result(self, values: Mapping[Key, float]) -> dict[Key, float | None]:
        """What the series that these changes touch become, if they are ``values`` now; None: they end."""
        added = {key: values.get(key, 0) + amount for key, amount in self.added.items()}
        raised = {key: max(value, values.get(key, value)) for key, value in self.raised_to.items()}
        return {**added, **self.set_to, **raised, **dict.fromkeys(self.gone)}


class MetricState:
    """All series of this process. Every method may be called from any thread."""

    def __init__(self, kept: Mapping[Key, float]) -> None:
        self._lock = threading.Lock()
        self._values: dict[Key, float] = {key: value for key, value in kept.items() if key[0] in BY_NAME}
        self._unsaved: set[Key] = set()
        self._exemplars: dict[Key, Exemplar] = {}

    def snapshot(self) -> dict[Key, float]:
        """Every series and its value, all of one moment."""
        with self._lock:
            return dict(self._values)

    def exemplars(self) -> dict[Key, Exemplar]:
        """The latest exemplar of each series that has one; none is from before this process."""
        with self._lock:
            return dict(self._exemplars)

    def value(self, metric: Metric, labels: tuple[str, ...] = ()) -> float:
        """One series' value; 0 where it does not exist."""
        with self._lock:
            return self._values.get((metric.name, labels), 0)

    def apply(self, changes: MetricUpdate) -> None:
        """Make changes visible, in one stroke."""
        with self._lock:
            self._apply(changes)

    def apply_committed(self, changes: MetricUpdate, saved: Mapping[Key, float | None]) -> None:
        """Make changes visible that ``saved``, from ``values``, has made durable."""
        with self._lock:
            self._apply(changes)
            self._unsaved -= {key for key, value in saved.items() if self._values.get(key) == value}

    def values_to_store(self, changes: MetricUpdate) -> dict[Key, float | None]:
        """What to store so that ``changes`` and all that is not stored yet are durable; None: an end."""
        with self._lock:
            values = {key: self._values.get(key) for key in self._unsaved}
            values |= changes.result(self._values)
        return {key: value for key, value in values.items() if BY_NAME[key[0]].persistent}

    def preview(self, changes: MetricUpdate) -> dict[Key, float | None]:
        """What ``changes`` alone would make of their series."""
        with self._lock:
            return changes.result(self._values)

    def _apply(self, changes: MetricUpdate) -> None:
        outcome = changes.result(self._values)
        self._exemplars.update(changes.exemplars)
        for key, value in outcome.items():
            if value is None:
                self._values.pop(key, None)
                self._exemplars.pop(key, None)
            else:
                self._values[key] = value
        self._unsaved.update(key for key in outcome if BY_NAME[key[0]].persistent)
