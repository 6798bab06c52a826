"""The ledger as Prometheus reads it: a collector over a snapshot, no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar as Shown

from exporter.telemetry.catalogue import CATALOGUE, Kind, Metric
from exporter.telemetry.ledger import SUM, Exemplar, Key, Ledger

Series = Mapping[tuple[str, ...], float]
Exemplars = Mapping[tuple[str, ...], Exemplar]
Value = TypeVar("Value")


class LedgerCollector(Collector):
    """Every metric of the catalogue, in its order, with the series that the ledger has."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def collect(self) -> Iterator[Family]:
        """All families with their samples."""
        series, exemplars = _by_name(self._ledger.snapshot()), _by_name(self._ledger.exemplars())
        for metric in CATALOGUE:
            yield _family(metric, series.get(metric.name, {}), exemplars.get(metric.name, {}))

    def describe(self) -> Iterable[Family]:
        """All families, empty: without this, ``?name[]=`` would answer nothing."""
        return [_family(metric, {}, {}) for metric in CATALOGUE]


def registry(ledger: Ledger) -> CollectorRegistry:
    """A registry of its own with the ledger in it."""
    own = CollectorRegistry(auto_describe=False)
    own.register(LedgerCollector(ledger))
    return own


def _by_name(values: Mapping[Key, Value]) -> dict[str, dict[tuple[str, ...], Value]]:
    grouped: dict[str, dict[tuple[str, ...], Value]] = {}
    for (name, labels), value in values.items():
        grouped.setdefault(name, {})[labels] = value
    return grouped


def _family(metric: Metric, series: Series, exemplars: Exemplars) -> Family:
    return _FAMILIES[metric.kind](metric, series, exemplars)


def _counter(metric: Metric, series: Series, exemplars: Exemplars) -> Family:
    family = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels in sorted(series):
        family.add_metric(labels, series[labels], exemplar=_exemplar(exemplars.get(labels)))
    return family


def _gauge(metric: Metric, series: Series, _exemplars: Exemplars) -> Family:
    family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels in sorted(series):
        family.add_metric(labels, series[labels])
    return family


def _histogram(metric: Metric, series: Series, exemplars: Exemplars) -> Family:
    family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
    bounds = [*(str(float(bound)) for bound in metric.buckets), "+Inf"]
    for labels in sorted({labels[:-1] for labels in series}):
        own = [(*labels, str(index)) for index in range(len(bounds))]
        counts = accumulate(series.get(bucket, 0) for bucket in own)
        shown = (_exemplar(exemplars.get(bucket)) for bucket in own)
        buckets = [
            (bound, count) if exemplar is None else (bound, count, exemplar)
            for bound, count, exemplar in zip(bounds, counts, shown, strict=True)
        ]
        family.add_metric(labels, buckets, series.get((*labels, SUM), 0))
    return family


def _exemplar(exemplar: Exemplar | None) -> Shown | None:
    """As OpenMetrics has it; the plain text format has none."""
    if exemplar is None:
        return None
    trace = {"trace_id": exemplar.trace.trace_id, "span_id": exemplar.trace.span_id}
    return Shown(trace, exemplar.value, exemplar.at_ns / 10**9)


_FAMILIES = {Kind.COUNTER: _counter, Kind.GAUGE: _gauge, Kind.HISTOGRAM: _histogram}
