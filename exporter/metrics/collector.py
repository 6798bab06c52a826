"""The ledger as Prometheus reads it: a collector over a snapshot, no I/O. Beside it, the process itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import TypeVar

import structlog
from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar as Shown

from exporter.metrics.definitions import METRICS, Metric, MetricType
from exporter.metrics.state import SUM, Exemplar, Key, MetricState
from exporter.model import SECOND_NS

log = structlog.get_logger(__name__)

Series = Mapping[tuple[str, ...], float]
Exemplars = Mapping[tuple[str, ...], Exemplar]
Value = TypeVar("Value")


class MetricCollector(Collector):
    """Every metric of the catalogue, in its order, with the series that the ledger has."""

    def __init__(self, ledger: MetricState) -> None:
        self._ledger = ledger

    def collect(self) -> Iterator[Family]:
        """All families with their samples."""
        series, exemplars = _by_name(self._ledger.snapshot()), _by_name(self._ledger.exemplars())
        for metric in METRICS:
            yield _family(metric, series.get(metric.name, {}), exemplars.get(metric.name, {}))

    def describe(self) -> Iterable[Family]:
        """All families, empty: without this, ``?name[]=`` would answer nothing."""
        return [_family(metric, {}, {}) for metric in METRICS]


class SafeProcessCollector(Collector):
    """The standard ``process_`` metrics, or none of them while ``proc`` cannot be read.

    ``/proc`` is in the kernel's memory: reading it waits for no disk. But prometheus-client raises what it
    does not expect to find there, such as a limit of ``unlimited``, and that must not end a scrape.
    """

    def __init__(self, proc: str) -> None:
        self._process = ProcessCollector(proc=proc, registry=None)
        self._readable = True

    def collect(self) -> list[Family]:
        """All families with their samples."""
        try:
            families = list(self._process.collect())
        except Exception as error:  # noqa: BLE001  # whatever it is, the other metrics are worth more
            self._log_once(error)
            return []
        self._readable = True
        return families

    def _log_once(self, error: Exception) -> None:
        if self._readable:
            log.warning("process metrics left out", cause=f"{type(error).__name__}: {error}")
        self._readable = False


def registry(ledger: MetricState, proc: str = "/proc") -> CollectorRegistry:
    """Return a registry of its own with the ledger and the standard metrics in it."""
    # Collectors that do not describe themselves are asked once: without it, ``?name[]=`` would not find them.
    own = CollectorRegistry(auto_describe=True)
    own.register(MetricCollector(ledger))
    own.register(SafeProcessCollector(proc))
    PlatformCollector(registry=own)
    return own


def _by_name(values: Mapping[Key, Value]) -> dict[str, dict[tuple[str, ...], Value]]:
    grouped: dict[str, dict[tuple[str, ...], Value]] = {}
    for (name, labels), value in values.items():
        grouped.setdefault(name, {})[labels] = value
    return grouped


def _family(metric: Metric, series: Series, exemplars: Exemplars) -> Family:
    return _FAMILIES[metric.type](metric, series, exemplars)


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
    return Shown(trace, exemplar.value, exemplar.at_ns / SECOND_NS)


_FAMILIES = {MetricType.COUNTER: _counter, MetricType.GAUGE: _gauge, MetricType.HISTOGRAM: _histogram}
