"""Prometheus collectors: the metrics' state and the process itself. A scrape does no I/O but ``/proc``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import TypeVar

import structlog
from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as MetricFamily
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar as SampleExemplar

from exporter.metrics.definitions import METRICS, Metric, MetricType
from exporter.metrics.held_series import SUM
from exporter.metrics.series_view import SeriesView
from exporter.metrics.update import Exemplar
from exporter.model import SECOND_NS, SeriesKey

log = structlog.get_logger(__name__)

Series = Mapping[tuple[str, ...], float]
Exemplars = Mapping[tuple[str, ...], Exemplar]
T = TypeVar("T")


class MetricCollector(Collector):
    """Metrics in the order of their definitions, with the series of a view."""

    def __init__(self, view: SeriesView, metrics: Sequence[Metric] = METRICS) -> None:
        self._view = view
        self._metrics = metrics

    def collect(self) -> Iterator[MetricFamily]:
        """Yield all families with their samples."""
        series, exemplars = _by_metric(self._view.snapshot()), _by_metric(self._view.exemplars())
        for metric in self._metrics:
            yield _family(metric, series.get(metric.name, {}), exemplars.get(metric.name, {}))

    def describe(self) -> Iterable[MetricFamily]:
        """Return all families without samples; ``?name[]=`` needs them to find this collector."""
        return [_family(metric, {}, {}) for metric in self._metrics]


class SafeProcessCollector(Collector):
    """Standard ``process_`` metrics, left out while ``proc`` cannot be read.

    prometheus-client raises on values that it does not expect, such as a limit of ``unlimited``; this must
    not fail the scrape. Reading ``/proc`` waits for no disk.
    """

    def __init__(self, proc: str) -> None:
        self._process = ProcessCollector(proc=proc, registry=None)
        self._readable = True

    def collect(self) -> list[MetricFamily]:
        """Return all families with their samples, or none."""
        try:
            families = list(self._process.collect())
        except Exception as error:  # noqa: BLE001  # whatever the cause, the other metrics must be served
            self._log_once(error)
            return []
        self._readable = True
        return families

    def _log_once(self, error: Exception) -> None:
        if self._readable:
            log.warning("process metrics left out", cause=f"{type(error).__name__}: {error}")
        self._readable = False


def build_registry(view: SeriesView | None, proc: str = "/proc") -> CollectorRegistry:
    """Return a new registry with the exporter's metrics, unless there is no view, and the standard ones."""
    # Collectors without ``describe`` are collected once at registration, so that ``?name[]=`` finds them.
    registry = CollectorRegistry(auto_describe=True)
    if view is not None:
        registry.register(MetricCollector(view))
    registry.register(SafeProcessCollector(proc))
    PlatformCollector(registry=registry)
    return registry


def _by_metric(values: Mapping[SeriesKey, T]) -> dict[str, dict[tuple[str, ...], T]]:
    grouped: dict[str, dict[tuple[str, ...], T]] = {}
    for (name, labels), value in values.items():
        grouped.setdefault(name, {})[labels] = value
    return grouped


def _family(metric: Metric, series: Series, exemplars: Exemplars) -> MetricFamily:
    match metric.type:
        case MetricType.COUNTER:
            return _counter(metric, series, exemplars)
        case MetricType.GAUGE:
            return _gauge(metric, series)
        case MetricType.HISTOGRAM:
            return _histogram(metric, series, exemplars)


def _counter(metric: Metric, series: Series, exemplars: Exemplars) -> MetricFamily:
    family = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels in sorted(series):
        family.add_metric(labels, series[labels], exemplar=_exemplar(exemplars.get(labels)))
    return family


def _gauge(metric: Metric, series: Series) -> MetricFamily:
    family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels, unit=metric.unit)
    for labels in sorted(series):
        family.add_metric(labels, series[labels])
    return family


def _histogram(metric: Metric, series: Series, exemplars: Exemplars) -> MetricFamily:
    family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels, unit=metric.unit)
    bounds = [*(str(float(bound)) for bound in metric.buckets), "+Inf"]
    for labels in sorted({labels[:-1] for labels in series}):
        keys = [(*labels, str(index)) for index in range(len(bounds))]
        counts = accumulate(series.get(key, 0) for key in keys)
        found = (_exemplar(exemplars.get(key)) for key in keys)
        buckets = [
            (bound, count) if exemplar is None else (bound, count, exemplar)
            for bound, count, exemplar in zip(bounds, counts, found, strict=True)
        ]
        family.add_metric(labels, buckets, series.get((*labels, SUM), 0))
    return family


def _exemplar(exemplar: Exemplar | None) -> SampleExemplar | None:
    """Return the exemplar in the form of OpenMetrics; the plain text format shows none."""
    if exemplar is None:
        return None
    trace = {"trace_id": exemplar.trace.trace_id, "span_id": exemplar.trace.span_id}
    return SampleExemplar(trace, exemplar.value, exemplar.at_ns / SECOND_NS)
