"""The ledger as Prometheus reads it: a collector over a snapshot, no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from exporter.telemetry.catalogue import CATALOGUE, Kind, Metric
from exporter.telemetry.ledger import SUM, Ledger

Series = Mapping[tuple[str, ...], float]


class LedgerCollector(Collector):
    """Every metric of the catalogue, in its order, with the series that the ledger has."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def collect(self) -> Iterator[Family]:
        """All families with their samples."""
        grouped: dict[str, dict[tuple[str, ...], float]] = {}
        for (name, labels), value in self._ledger.snapshot().items():
            grouped.setdefault(name, {})[labels] = value
        for metric in CATALOGUE:
            yield _family(metric, grouped.get(metric.name, {}))

    def describe(self) -> Iterable[Family]:
        """All families, empty: without this, ``?name[]=`` would answer nothing."""
        return [_family(metric, {}) for metric in CATALOGUE]


def registry(ledger: Ledger) -> CollectorRegistry:
    """A registry of its own with the ledger in it."""
    own = CollectorRegistry(auto_describe=False)
    own.register(LedgerCollector(ledger))
    return own


def _family(metric: Metric, series: Series) -> Family:
    return _FAMILIES[metric.kind](metric, series)


def _counter(metric: Metric, series: Series) -> Family:
    family = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels in sorted(series):
        family.add_metric(labels, series[labels])
    return family


def _gauge(metric: Metric, series: Series) -> Family:
    family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels in sorted(series):
        family.add_metric(labels, series[labels])
    return family


def _histogram(metric: Metric, series: Series) -> Family:
    family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
    bounds = [*(str(float(bound)) for bound in metric.buckets), "+Inf"]
    for labels in sorted({labels[:-1] for labels in series}):
        counts = [series.get((*labels, str(index)), 0) for index in range(len(bounds))]
        buckets = list(zip(bounds, accumulate(counts), strict=True))
        family.add_metric(labels, buckets, series.get((*labels, SUM), 0))
    return family


_FAMILIES = {Kind.COUNTER: _counter, Kind.GAUGE: _gauge, Kind.HISTOGRAM: _histogram}
