"""Templates of the lines of a series, taken from what prometheus-client writes of one series.

So its formats are written as it writes them, whatever they are, and a series costs one ``str.format``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import lru_cache

from prometheus_client import CollectorRegistry
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from exporter.metrics.collector import MetricCollector
from exporter.metrics.definitions import Metric, MetricType
from exporter.metrics.held_series import SUM, parts
from exporter.metrics.update import Exemplar
from exporter.model import SECOND_NS, SeriesKey, Trace

_number: Callable[[float], str] = floatToGoString

# What chooses and writes a format, as of ``prometheus_client.exposition.choose_encoder``.
Encoder = Callable[[Collector], bytes]
_END_OF_OPENMETRICS = "# EOF\n"


@dataclass(frozen=True, slots=True)
class SeriesTemplate:
    """Comments of a metric, and the lines of one of its series.

    ``lines`` has fields for ``str.format``: for each label, for each value, and for each exemplar. A counter
    or gauge has one value; a histogram has its sum, then its cumulative buckets.
    """

    comments: bytes
    lines: str

    def render(
        self, labels: Collection[str], values: Collection[float], exemplars: Collection[Exemplar | None]
    ) -> bytes:
        """Return the lines of a series."""
        texts = (*map(_escape, labels), *map(_number, values), *map(_exemplar_text, exemplars))
        return self.lines.format(*texts).encode()


class _OneSeries:
    """Series whose labels are the fields of a template, and whose values are the places of its values."""

    def __init__(self, metric: Metric) -> None:
        labels = tuple(f"{{{place}}}" for place in range(len(metric.labels)))
        self.keys = parts((metric.name, (*labels, SUM) if metric.type is MetricType.HISTOGRAM else labels))

    def snapshot(self) -> dict[SeriesKey, float]:
        """Return 0 for the first, and buckets of 1, which the collector sums up."""
        return {key: min(place, 1) for place, key in enumerate(self.keys)}

    def exemplars(self) -> dict[SeriesKey, Exemplar]:
        """Return an exemplar for each, which shows where the format has one."""
        return dict.fromkeys(self.keys, Exemplar(Trace("", ""), 0, 0))


def series_template(metric: Metric, encoder: Encoder, names: Collection[str] = ()) -> SeriesTemplate:
    """Return the template of a metric in a format; of only those of its samples in ``names``, if any."""
    registry, series = CollectorRegistry(), _OneSeries(metric)
    registry.register(MetricCollector(series, [metric]))
    text = encoder(registry.restricted_registry(names) if names else registry).decode()
    lines = text.removesuffix(_END_OF_OPENMETRICS).splitlines(keepends=True)
    comments = [line for line in lines if line.startswith("#")]
    samples = [
        _with_fields(line, len(metric.labels), len(series.keys)) for line in lines if line not in comments
    ]
    return SeriesTemplate("".join(comments).encode(), "".join(samples))


def _with_fields(sample: str, labels: int, values: int) -> str:
    """Return the line with fields in place of its value and its exemplar; its labels are fields already."""
    series, exemplar, _ = sample.partition(" # ")
    head, _, value = series.rpartition(" ")
    name, brace, rest = head.partition("{")
    field = labels + int(float(value))
    head = f"{name}{{{{{rest}}}" if brace else name
    return f"{head} {{{field}}}" + (f"{{{field + values}}}" if exemplar else "") + "\n"


@lru_cache(maxsize=1024)
def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _exemplar_text(exemplar: Exemplar | None) -> str:
    if exemplar is None:
        return ""
    labels = f'span_id="{exemplar.trace.span_id}",trace_id="{exemplar.trace.trace_id}"'
    return f" # {{{labels}}} {_number(exemplar.value)} {exemplar.at_ns / SECOND_NS}"
